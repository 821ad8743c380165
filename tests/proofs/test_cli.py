"""``alts prove``: exit codes, the report and its schema."""

from __future__ import annotations

import argparse
import functools
import json
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
        ["-j", "0"],
        ["--json", "--list"],
    ):
        with pytest.raises(SystemExit) as caught:
            prove(*arguments)
        assert caught.value.code == 2


def test_unusable_manifest_is_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "expected.json").write_text("{}", encoding="utf-8")
    assert prove() == 3
    assert "cannot be used" in capsys.readouterr().err


def test_list_proves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove("--list") == 0
    assert "made-up/reached" in capsys.readouterr().out
