"""`alts pki policy check|compile|show|key`: what it prints, where it exits (SPEC 13.2)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from alts.policy import Kind, cli, peek
from tests.impl.policy_tools import TEXT, sequence_of

LOOSE = TEXT.replace('"ca"', '"**"')


def alts(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "good.toml").write_text(TEXT)
    (tmp_path / "loose.toml").write_text(LOOSE)
    (tmp_path / "bad.toml").write_text(TEXT + "typo = 1\n")
    assert alts("key", tmp_path / "key") == 0
    return tmp_path


@pytest.mark.req("POLICY-1")
def test_check(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert alts("check", here / "good.toml") == 0
    assert "no findings in 1 rules for production" in capsys.readouterr().out
    assert alts("check", here / "loose.toml") == 1
    assert "line 4: warning: rule 1" in capsys.readouterr().out
    assert alts("check", here / "bad.toml", "--json") == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["severity"], finding["code"], finding["rule"]) == ("error", "unknown-key", 1)
    assert alts("check", here / "none.toml") == 3
    (here / "latin.toml").write_bytes(b"# \xe9\n")
    assert alts("check", here / "latin.toml") == 3


@pytest.mark.req("POLICY-1")
def test_compile_and_show(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, key, public = here / "policy.alts", here / "key", here / "key.pub"
    assert alts("compile", here / "bad.toml", "--key", key, "--output", out) == 1
    assert not out.exists()
    assert alts("compile", here / "good.toml", "--key", key, "--output", out) == 0
    assert alts("compile", here / "loose.toml", "--key", key, "--output", out) == 0, "warnings do not hinder"
    assert sequence_of(Kind.POLICY, out) == 2
    assert alts("compile", here / "good.toml", "--key", key, "--output", out, "--sequence", "2") == 3
    assert alts("compile", here / "good.toml", "--key", key, "--output", out, "--sequence", "0") == 2
    assert alts("compile", here / "good.toml", "--key", here / "none", "--output", out) == 3
    assert alts("compile", here / "good.toml", "--key", key, "--output", here / "no" / "out") == 3
    assert sequence_of(Kind.POLICY, out) == 2
    capsys.readouterr()
    assert alts("show", out, "--key", public) == 0
    shown = capsys.readouterr().out
    assert "signature: good" in shown
    assert "** may issue human certificates for corp/*" in shown
    assert alts("show", out) == 0
    assert "NOT VERIFIED" in capsys.readouterr().out
    assert alts("show", out, "--json", "--key", public) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["signed"]["verified"] is True
    assert document["rules"] == [{"issuer": "**", "category": "human", "identity": "corp/*"}]
    assert alts("show", here / "good.toml") == 0
    assert "not signed" in capsys.readouterr().out
    assert alts("key", here / "other") == 0
    assert alts("show", out, "--key", here / "other.pub") == 1
    assert "FileUnknownKey" in capsys.readouterr().err
    for damage in (out.read_bytes()[:-1], out.read_bytes() + b"x"):
        (here / "damaged").write_bytes(damage)
        assert alts("show", here / "damaged") == 1


def test_a_key_file_says_which_half_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, public, out, good = here / "key", here / "key.pub", here / "out", here / "good.toml"
    assert key.read_text().startswith("ed25519-private ")
    assert public.read_text().startswith("ed25519-public ")
    moved = here / "moved"
    moved.write_bytes(public.read_bytes())
    moved.chmod(0o600)
    for wrong in (public, moved):
        assert alts("compile", good, "--key", wrong, "--output", out) == 3
        assert f"{wrong}: is a public key" in capsys.readouterr().err
    assert alts("compile", good, "--key", key, "--output", out) == 0
    assert alts("show", out, "--key", key) == 3
    assert "is a private key; the public one is key.pub" in capsys.readouterr().err
    assert alts("show", out, "--key", moved) == 0
    for text in ("ed25519-secret ", "ed25519-private", "ed25519-private  ", "private "):
        key.write_text(text + "00" * 32)
        assert alts("compile", good, "--key", key, "--output", out) == 3


def test_key_files_of_before_are_read_and_told_apart(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """64 digits and nothing else: the name, and the file beside it, say which half it is."""
    key, public, out, good = here / "key", here / "key.pub", here / "out", here / "good.toml"
    for path in (key, public):
        path.write_text(path.read_text().split()[1] + "\n")
    assert alts("compile", good, "--key", key, "--output", out) == 0
    assert alts("show", out, "--key", public) == 0
    assert "signature: good" in capsys.readouterr().out
    assert alts("compile", good, "--key", public, "--output", here / "none") == 3
    assert f"{public}: is a public key" in capsys.readouterr().err
    assert alts("show", out, "--key", key) == 3
    assert "is a private key" in capsys.readouterr().err
    swapped = here / "swapped"
    swapped.write_bytes(public.read_bytes())
    (here / "swapped.pub").write_bytes(key.read_bytes())
    for path in (swapped, here / "swapped.pub"):
        path.chmod(0o600)
        assert alts("compile", good, "--key", path, "--output", here / "none") == 3
    assert not (here / "none").exists()
    assert alts("key", here / "other") == 0
    public.write_bytes((here / "other.pub").read_bytes())
    assert alts("compile", good, "--key", key, "--output", here / "none") == 3
    assert f"{key}: is not the private key of {public}" in capsys.readouterr().err
    public.unlink()
    assert alts("compile", good, "--key", key, "--output", out) == 0, "the public half may be elsewhere"


def test_keys_are_never_shown_nor_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = here / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_text()
    assert alts("key", key) == 3
    assert key.read_text() == before
    captured = capsys.readouterr()
    assert before.split()[1] not in captured.out + captured.err
    key.chmod(0o644)
    assert alts("compile", here / "good.toml", "--key", key, "--output", here / "out") == 3


def test_the_output_takes_nothing_elses_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in a command line costs neither the signing key nor the document."""
    key, good = here / "key", here / "good.toml"
    (here / "link").symlink_to(key)
    before = {path: path.read_bytes() for path in here.iterdir()}
    for output in (key, here / "key.pub", good, f"{good}/", here / "loose.toml", here / "link"):
        assert alts("compile", good, "--key", key, "--output", output) == 3
        assert "exists already, and is no signed file (policy)" in capsys.readouterr().err
    (here / ".lock").unlink()
    assert {path: path.read_bytes() for path in here.iterdir()} == before
    assert (here / "link").is_symlink()


def test_paths_that_name_no_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("", ".", "./", "/"):
        assert alts("compile", here / "good.toml", "--key", here / "key", "--output", path) == 3
        assert alts("key", path) == 3
        assert capsys.readouterr().err.count("is not the name of a file") == 2
    for path in ("a" * 300, "a" * 252):  # too long, or only with what comes after it
        assert alts("key", here / path) == 3
        assert alts("compile", here / "good.toml", "--key", here / "key", "--output", here / path) == 3
        assert capsys.readouterr().err.count("File name too long") == 2


@pytest.mark.parametrize("number", [0, 2**53 + 1, 2**63 - 1, 2**64 - 1])
def test_the_issue_time_and_the_number_are_those_that_were_given(here: Path, number: int) -> None:
    given = ("compile", here / "good.toml", "--key", here / "key", "--output", here / "out")
    assert alts(*given, "--issued-at", str(number), "--sequence", str(max(1, number))) == 0
    header = peek(Kind.POLICY, (here / "out").read_bytes())
    assert (header.issued_at, header.sequence) == (number, max(1, number))
    assert alts("show", here / "out") == 0
    for wrong in (-1, 2**64):
        assert alts(*given, f"--issued-at={wrong}") == 2


def test_after_the_last_sequence_number_there_is_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("compile", here / "good.toml", "--key", here / "key", "--output", here / "out")
    assert alts(*given, "--sequence", str(2**64 - 1)) == 0
    before = (here / "out.sequence").read_bytes()
    assert alts(*given) == 3
    assert "the last sequence number was used" in capsys.readouterr().err
    assert (here / "out.sequence").read_bytes() == before
