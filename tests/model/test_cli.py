"""The commands: what they print and how they exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alts_model import check, cli, exploration
from alts_model.nodes import Result
from alts_model.properties import Violation
from alts_model.scenario import Scenario
from alts_model.weakening import CHECKS


def test_explore_states_bounds_and_never_says_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explore", "--sessions", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("no attack within these bounds") == 2
    assert "Bounds: 1 sessions a role" in printed
    assert "states" in printed
    assert "proved" not in printed.lower()


def test_explore_without_a_check_prints_the_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explore", "--without", "policy"]) == 0
    printed = capsys.readouterr().out
    assert "=> violated: agreement" in printed
    assert "people/mallory" in printed


def test_explore_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explore", "--json", "--without", "client-finished"]) == 0
    document = json.loads(capsys.readouterr().out)
    (run,) = document["runs"]
    assert (run["result"], run["violation"]["name"], run["without"]) == ("attack", "agreement", ["client-finished"])


def fake(violation: Violation | None, reached: set[str]) -> Iterator[Result]:
    yield Result("fake", (), violation=violation, reached=reached)


def test_explore_exits_1_on_an_unexpected_result_and_3_on_a_vacuous_one(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = set(cli._NEVER_VACUOUS)
    monkeypatch.setattr(cli, "explore", lambda *_: fake(Violation("agreement", "x"), everything))
    assert cli.main(["explore"]) == 1
    monkeypatch.setattr(cli, "explore", lambda *_: fake(None, everything))
    assert cli.main(["explore", "--without", "policy"]) == 1
    assert cli.main(["explore", "--without", "zero-check"]) == 0
    monkeypatch.setattr(cli, "explore", lambda *_: fake(None, {"ClientStarts"}))
    assert cli.main(["explore"]) == 3


def test_all_twins_covers_every_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def expected(sessions: int, without: frozenset[str], properties: frozenset[str]) -> Iterator[Result]:
        attack = any(CHECKS[name].visible for name in without)
        return fake(Violation("agreement", "x") if attack else None, set(cli._NEVER_VACUOUS))

    monkeypatch.setattr(cli, "explore", expected)
    assert cli.main(["explore", "--all-twins"]) == 0
    assert cli.main(["explore", "--all-twins", "--without", "policy"]) == 2
    printed = capsys.readouterr().out
    assert all(f"without {name} (" in printed for name in CHECKS)
    assert printed.count("the explorer does not see this removal") == sum(
        not check.visible for check in CHECKS.values()
    )


def test_a_check_that_cannot_run_where_all_must_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(cli, "repository", lambda: None)
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().out.count("SKIPPED ") == 3
    assert cli.main(["check", "--require-all"]) == 3
    assert cli.main(["check", "--require-all", "--json"]) == 3
    monkeypatch.setenv("CI", "true")
    assert cli.main(["check"]) == 3
    bad = check.CheckResult("x", "", ("wrong",)), check.CheckResult("y", "", skipped="why")
    monkeypatch.setattr(cli, "run_checks", lambda _: bad)
    assert cli.main(["check"]) == 1, "what was found comes first"
    monkeypatch.delenv("CI")
    monkeypatch.setattr(cli, "run_checks", lambda _: bad[1:])
    assert cli.main(["check"]) == 3, "nothing ran"


def test_the_names_of_all_checks_are_those_that_run() -> None:
    assert tuple(result.name for result in check.run_checks(None)) == check.NAMES


def test_what_is_planned_is_what_a_search_of_all_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Explorer:
        def __init__(self, scenario: Scenario, without: frozenset[str], _: frozenset[str]) -> None:
            self.result = Result(scenario.name, tuple(sorted(without)))

        def run(self) -> Result:
            return self.result

    monkeypatch.setattr(exploration, "Explorer", Explorer)
    assert cli.main(["explore", "--search", "all", "--json"]) == 3, "nothing was reached"
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["scenario"], frozenset(run["without"])) for run in runs] == list(exploration.planned())


def test_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CI", raising=False)  # where it is set, a skipped check is no success
    assert cli.main(["check", "--json"]) == 0
    count = len(json.loads(capsys.readouterr().out)["checks"])
    assert count >= 13
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{count} passed, 0 failed, 0 skipped"
    monkeypatch.setattr(check, "specification_table", lambda: "")
    assert cli.main(["check"]) == 1
    assert capsys.readouterr().out.startswith("FAILED")
    monkeypatch.setattr(cli, "repository", lambda: None)
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{count - 3} passed, 0 failed, 3 skipped"


@pytest.mark.parametrize("form", ["dot", "mermaid", "svg", "markdown"])
def test_diagram(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "diagram"
    assert cli.main(["diagram", "--format", form, "--role", "record", "--output", str(target)]) == 0
    assert cli.main(["diagram", "--format", form, "--role", "record"]) == 0
    assert target.read_text(encoding="utf-8") == capsys.readouterr().out
    assert cli.main(["diagram", "--output", str(tmp_path / "no" / "such")]) == 3


def test_list_names_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explore", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CHECKS)


@pytest.mark.parametrize("arguments", [[], ["explore", "--without", "nothing"], ["explore", "--sessions", "0"]])
def test_usage(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "alts_model", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage" in done.stderr


MODULE = [sys.executable, "-m", "alts_model"]
BROKEN = """
import runpy, sys
from alts_model import cli
def main():
    raise %s
cli.main = main
sys.argv = ["alts_model"]
runpy.run_module("alts_model", run_name="__main__")
"""


@pytest.mark.parametrize("words", [["explore", "--list"], ["diagram"], ["--help"]])
def test_output_that_cannot_be_written_is_no_finding(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # with it, argparse swallows the error
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*MODULE, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "alts model: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        done = subprocess.run([*MODULE, *words], stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ("ValueError('of\\ntwo lines')", 3, "alts model: internal error: ValueError: of two lines (OPENALTS_DEBUG=1"),
        ("KeyboardInterrupt", 130, "alts model: interrupted"),
        ("OSError(2, 'No such file', 'x')", 3, "alts model: x: No such file"),
    ],
)
def test_a_mistake_of_ours_is_no_finding(error: str, code: int, says: str) -> None:
    environment = {**os.environ, "OPENALTS_DEBUG": ""}
    done = subprocess.run(
        [sys.executable, "-c", BROKEN % error], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr.startswith(says), done.stderr.count("\n")) == (code, True, 1), done.stderr
