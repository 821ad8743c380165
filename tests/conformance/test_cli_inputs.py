"""What the commands say of input that is no use: missing, of the wrong kind, damaged, endless."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from alts_conformance import cli


def alts(command: str) -> int:
    """Run a command in this process; its exit code."""
    try:
        return cli.main(command.split())
    except SystemExit as ended:
        return int(str(ended.code))


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that are no use to any command, and a realm."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "garbage").write_bytes(bytes(range(256)))
    (tmp_path / "empty").touch()
    (tmp_path / "deep.json").write_text("[" * 100000)
    (tmp_path / "deep.toml").write_text("x = " + "[" * 100000)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for path in tmp_path.iterdir():
        path.chmod(0o700)
    assert cli.main(["pki", "init", "realm", "--name", "realm"]) == 0
    assert cli.main(["issuance", "found", "founded", "--realm", "realm"]) == 0
    return tmp_path


USELESS = ["missing", "folder", "garbage", "empty", "deep.json", "deep.toml", "fifo", "garbage/below", "x" * 300]
# Some of it is of use to some: a file of known findings may be empty, and an address book empty or made.
USABLE = {("conform", "empty"): "missing", ("serve", "empty"): "garbage", ("serve", "missing"): "folder"}


@pytest.mark.parametrize("name", USELESS)
@pytest.mark.parametrize(
    "command",
    [
        "conform --known @ --case record::*",
        "prove @",
        "vectors lint --directory @",
        "pki show @",
        "pki verify realm @",
        "pki policy check @",
        "pki policy compile @ --key @ --output out",
        "pki policy explain who @ human corp/a",
        "pki policy explain compare founded/policy.toml @",
        "issuance found --realm realm --policy @ new",
        "issuance install @ machine",
        "issuance token @ machines/a token",
        "issuance publish-policy founded/policy-signer founded/crl @",
        "issuance schedule --machine founded/ca --book @ --credential founded/ca a/b c/d",
        "serve signing --state @ --book book",
        "serve daemon --state @ --book book",
        "serve handshaker --listen 127.0.0.1:0 --realm @",
        "serve crl --state founded/crl --book @ --enter --listen 127.0.0.1:0",
    ],
)
def test_useless_input_is_a_clear_error(
    inputs: Path, command: str, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code and one line that names what was wrong; nothing is waited for, and no mistake of ours shows."""
    name = USABLE.get((command.partition(" ")[0], name), name)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    capsys.readouterr()
    code = alts(command.replace("@", name))
    captured = capsys.readouterr()
    assert code in (1, 2, 3), captured
    assert "internal error" not in captured.err
    said = captured.err or captured.out
    assert said.strip()
    assert (inputs / "garbage").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("book", ["garbage", "deep.json", "fifo", "folder"])
def test_a_file_that_is_no_address_book_stays_as_it_is(
    inputs: Path, book: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["serve", "signing", "--state", "founded/signing", "--listen", "127.0.0.1:0", "--enter", "--book", book]
    assert alts(" ".join(words)) == 3
    assert f"{book}: is no" in capsys.readouterr().err.replace("Is a directory", "is no file")
    assert (inputs / "garbage").read_bytes() == bytes(range(256))


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ("issuance install folder machine", 3, "folder/anchors.json: is missing"),
        ("issuance found new --realm realm --policy empty", 3, "empty: error: 'deployment' is missing"),
        ("issuance found new --realm realm --policy garbage", 3, "garbage: is not UTF-8 text"),
        ("issuance token folder machines/a token", 3, "folder: is no state directory"),
        ("issuance token founded machines/a token", 3, "founded: is no state directory of a service"),
        ("issuance add-user founded/ca olga corp/olga --password-stdin", 3, "nothing was given for: new password"),
        ("issuance revoke --machine m --book b --credential c 1", 2, "'1' is not 16 lower-case hexadecimal digits"),
        ("issuance revoke --machine m --book b --credential c -- -000000000000001", 2, "not 16 lower-case hexadecimal"),
        ("pki verify realm fifo", 3, "fifo: is not a regular file"),
        ("pki policy explain compare founded/none empty", 3, "founded/none: "),
        ("pki policy explain who deep.toml human a/b", 3, "deep.toml: error: nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(
    inputs: Path,
    arguments: str,
    code: int,
    error: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    found = alts(arguments)
    captured = capsys.readouterr()
    assert error in captured.err
    assert found == code
    assert not (inputs / "new").exists()
    assert not (inputs / "machine").exists()


@pytest.mark.parametrize(
    "command",
    [
        "issuance token founded/ca machines/a @",
        "pki policy compile policy.toml --key key --output @",
        "serve signing --state founded/signing --book @ --enter --listen 127.0.0.1:0",
    ],
)
def test_output_never_takes_the_place_of_a_special_file(
    inputs: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root, a file renamed to the name of a device would be one no more."""
    (inputs / "policy.toml").write_text('format = 1\ndeployment = "production"\n')
    (inputs / "policy.toml").chmod(0o600)
    assert alts("pki policy key key") == 0
    assert alts(command.replace("@", "fifo")) == 3
    assert "fifo: is not a regular file" in capsys.readouterr().err
    assert (inputs / "fifo").is_fifo()
    assert alts("issuance token founded/ca machines/a token") == 0, "where it may be written, it is"
