"""``alts prove``: exit codes, the report and its schema."""

from __future__ import annotations

import argparse
import functools
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from alts_proofs import cli, load_manifest, report_schema
from tests.proofs import fake

pytestmark = pytest.mark.req("HS-13")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made-up script is the only one, and no prover is installed."""
    place = fake.place(tmp_path)
    monkeypatch.setattr(cli, "load_manifest", functools.partial(load_manifest, place.manifest, place.root))
    monkeypatch.setenv("ALTS_PROVERIF", str(tmp_path / "proverif"))
    return tmp_path


def prove(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(arguments))


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(report_schema()).validate(found)
    return found


def test_all_as_expected_is_0(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake.prover(here, fake.GOOD)
    assert prove() == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("3 as expected, 0 not as expected, 0 without")
    assert "ok made_up.pv" in captured.err
    assert "\x1b" not in captured.out


def test_json_follows_its_schema(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake.prover(here, fake.GOOD)
    assert prove("--json") == 0
    found = document(capsys)
    assert (found["engine"], found["version"]) == ("proverif", "2.05")
    (file,) = found["files"]
    assert [(q["query"], q["result"]) for q in file["queries"]] == [(i, expected) for i, _, expected in fake.QUERIES]
    assert "starts it" in file["queries"][2]["trace"]


@pytest.mark.parametrize(
    ("old", "new", "got"),
    [
        ("attacker(s[]) is true", "attacker(s[]) is false", "false"),
        ("attacker(s[]) is true", "attacker(s[]) cannot be proved", "cannot_be_proved"),
        ("Ends(@3_x)) is false", "Ends(@3_x)) is true", "true"),
        ("Ends(@3_x)) is false", "Ends(@3_x)) cannot be proved", "cannot_be_proved"),
    ],
)
def test_another_verdict_is_1_and_comes_first(
    here: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, got: str
) -> None:
    assert old in fake.GOOD
    fake.prover(here, fake.GOOD.replace(old, new))
    assert prove() == 1
    first, command, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("FAIL made-up/")
    assert f"got {got} [HS-13]" in first
    assert "proverif -lib lib/all.pvl made_up.pv" in command


def test_timeout_is_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake.prover(here, "", then="time.sleep(600)")
    assert prove("--json", "--timeout", "0.5") == 1
    assert {q["result"] for q in document(capsys)["files"][0]["queries"]} == {"timeout"}


def test_failing_prover_is_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake.prover(here, "garbage\n")
    assert prove("--json") == 3
    (entry, *_) = document(capsys)["files"][0]["queries"]
    assert (entry["result"], entry["seconds"]) == ("unsupported", None)
    assert "before its summary" in entry["reason"]
    assert prove() == 3
    assert capsys.readouterr().out.startswith("ERROR made_up.pv: ")


@pytest.mark.parametrize("engine", ["proverif"])
def test_without_a_prover_everything_is_skipped_and_counted(
    here: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    assert prove("--engine", engine) == 3
    *_, reason, summary = capsys.readouterr().out.splitlines()
    assert reason.startswith("SKIPPED every query: ")
    assert "opam install proverif" in reason
    assert "0 as expected" in summary
    assert "3 skipped" in summary
    assert prove("--engine", engine, "--json") == 3
    found = document(capsys)
    assert (found["engine"], found["version"]) == (engine, None)
    assert {q["result"] for q in found["files"][0]["queries"]} == {"skipped"}
    assert all("ALTS_PROVERIF" in q["reason"] for q in found["files"][0]["queries"])


def test_allow_skipped_changes_the_exit_code_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove("--engine", "proverif") == 3
    strict = capsys.readouterr().out
    assert prove("--engine", "proverif", "--allow-skipped") == 0
    assert capsys.readouterr().out == strict


def test_allow_skipped_excuses_nothing_that_ran(here: Path) -> None:
    fake.prover(here, fake.GOOD.replace("s[]) is true", "s[]) is false"))
    assert prove("--allow-skipped") == 1
    fake.prover(here, "garbage\n")
    assert prove("--allow-skipped") == 3


def test_usage_errors_are_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove("nothing.pv") == 2
    assert "nothing.pv" in capsys.readouterr().err
    for arguments in (
        ["--engine", "magic"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--timeout", "soon"],
        ["-j", "0"],
        ["-j", "many"],
        ["--json", "--list"],
    ):
        with pytest.raises(SystemExit) as caught:
            prove(*arguments)
        assert caught.value.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mutants", "--charts", "charts"],
        ["--mutants", "--list", "--charts", "charts"],
        ["--compare", "--charts", "charts"],
        ["--list", "--charts", "charts"],
        ["--compare", "--mutants"],
        ["--compare", "--list"],
        ["--compare", "--engine", "builtin"],
    ],
)
def test_an_option_that_would_be_ignored_is_a_usage_error(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(here)
    assert prove(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("alts prove: --")
    assert "leave out --" in captured.err
    assert captured.out == ""
    assert not (here / "charts").exists()


def test_a_script_of_ones_own_is_shown_to_the_engine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = here / "my own.pv"
    own.write_text("free c: channel.\nfree s: bitstring [private].\nquery attacker(s).\nprocess out(c, s)\n")
    assert prove(str(own)) == 2
    said = capsys.readouterr().err.strip()
    command = shlex.split(said.rpartition(": ")[2])
    assert command == ["python", "-m", "alts_proofs.engine", str(own)]
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, timeout=60, check=True)
    results = [json.loads(line).get("result") for line in done.stdout.splitlines()]
    assert results == [None, "false"], "what is advised works"
    assert prove(str(here / "nothing.pv")) == 2
    assert "python -m alts_proofs.engine FILE" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x" * 5000, "loop", ".", ""])
def test_no_odd_name_of_a_script_is_more_than_a_usage_error(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(here)
    (here / "loop").symlink_to("loop")
    assert prove(name) == 2
    assert "no script with expected results" in capsys.readouterr().err


def test_unusable_manifest_is_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "expected.json").write_text("{}", encoding="utf-8")
    assert prove() == 3
    assert "cannot be used" in capsys.readouterr().err


def test_list_proves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove("--list") == 0
    assert "made-up/reached" in capsys.readouterr().out
