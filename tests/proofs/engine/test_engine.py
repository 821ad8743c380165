"""The built-in prover as an engine: its processes, its limits, and what it does not take on trust."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Timer
from typing import Any

import jsonschema
import pytest

from alts_proofs import (
    EngineFailure,
    Outcome,
    ProVerif,
    Script,
    cli,
    compare,
    load_manifest,
    prove,
    report_schema,
    write_charts,
)
from alts_proofs.engine import BuiltIn
from tests.proofs import fake

pytestmark = pytest.mark.req("HS-13")

LIBRARY = "free c: channel. free s: bitstring [private]. event Begins(bitstring). event Ends(bitstring).\n"
SCRIPT = """
fun mac(bitstring, bitstring): bitstring.
query attacker(s).
query x: bitstring; inj-event(Ends(x)) ==> inj-event(Begins(x)).
query x: bitstring; event(Ends(x)).
process new k: bitstring;
  ( !(in(c, n: bitstring); event Begins(n); out(c, mac(n, k)))
  | !(new n: bitstring; out(c, n); in(c, =mac(n, k)); event Ends(n)) )
"""


def script(folder: Path, text: str, document: dict[str, Any] | None = None) -> Script:
    place = fake.place(folder, document)
    (place.root / "lib" / "all.pvl").write_text(LIBRARY, encoding="utf-8")
    (place.root / "made_up.pv").write_text(text, encoding="utf-8")
    return load_manifest(place.manifest, place.root).scripts[0]


def results(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [outcome.result for outcome in outcomes]


def test_verdicts_come_with_seconds_and_traces(tmp_path: Path) -> None:
    outcomes = BuiltIn().prove(script(tmp_path, SCRIPT), 60, Event())
    assert results(outcomes) == ["true", "true", "false"]
    assert all(outcome.seconds is not None for outcome in outcomes)
    assert outcomes[0].trace is None
    assert outcomes[2].trace is not None
    assert outcomes[2].trace.startswith("1. ")
    assert "event Ends(" in outcomes[2].trace
    assert "made_up.pv:8" in outcomes[2].trace


def test_an_attack_comes_in_steps_and_as_a_chart(tmp_path: Path) -> None:
    report = prove(BuiltIn(), [script(tmp_path, SCRIPT)], 60)
    secret, _, reached = report.files[0].outcomes
    assert secret.steps == ()
    messages = [(step.source, step.target) for step in reached.steps if step.source != step.target]
    assert ("process 1", "attacker") in messages or ("process 2", "attacker") in messages
    assert all("made_up.pv:" in (step.place or "") for step in reached.steps if step.source != "attacker")
    assert {"source", "target", "message"} <= report.document()["files"][0]["queries"][2]["steps"][0].keys()
    jsonschema.validate(report.document(), report_schema())
    (chart,) = write_charts(report, tmp_path / "charts")
    assert chart.name == "made-up_reached.svg"
    drawn = chart.read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert ">attacker<" in drawn
    assert "event Ends(" in drawn


def test_processes_are_named_by_their_macros(tmp_path: Path) -> None:
    text = (
        SCRIPT.split("process")[0]
        + """
let Answers(k: bitstring) = in(c, n: bitstring); event Begins(n); out(c, mac(n, k)).
let Asks(k: bitstring) = new n: bitstring; out(c, n); in(c, =mac(n, k)); event Ends(n).
process new k: bitstring; ( !Answers(k) | !Asks(k) )"""
    )
    reached = BuiltIn().prove(script(tmp_path, text), 60, Event())[2]
    assert {step.source for step in reached.steps} >= {"Answers", "Asks", "attacker"}


def test_the_memory_limit_is_kept(tmp_path: Path) -> None:
    chosen = _static("static_agreement.pv")
    command = [sys.executable, "-m", "alts_proofs.engine", "--memory", "1", *chosen.arguments()]
    done = subprocess.run(command, cwd=chosen.root, capture_output=True, text=True, check=True, timeout=100)
    found = [json.loads(line) for line in done.stdout.splitlines()][1:]
    assert {(one["result"], one["reason"]) for one in found} == {("timeout", "the memory limit of 1 MB was reached")}


def test_other_queries_than_expected_are_no_verdict(tmp_path: Path) -> None:
    swapped = SCRIPT.replace("query attacker(s).", "query attacker(k).").replace(
        "fun mac", "free k: bitstring. fun mac"
    )
    with pytest.raises(EngineFailure, match=r"query 1 should be made-up/secret"):
        BuiltIn().prove(script(tmp_path, swapped), 60, Event())
    fewer = SCRIPT.replace("query attacker(s).", "")
    with pytest.raises(EngineFailure, match="2 queries, 3 are expected"):
        BuiltIn().prove(script(tmp_path, fewer), 60, Event())


def test_errors_in_the_script_are_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match=r"made_up.pv:3: nothing is not declared"):
        BuiltIn().prove(script(tmp_path, SCRIPT.replace("attacker(s)", "attacker(nothing)")), 60, Event())


def test_what_it_does_not_have_it_names(tmp_path: Path) -> None:
    outcomes = BuiltIn().prove(script(tmp_path, SCRIPT.replace("out(c, n)", "out(c, choice[n, k])")), 60, Event())
    assert {(outcome.result, outcome.reason) for outcome in outcomes} == {("unsupported", "made_up.pv:8: choice")}


def _static(file: str) -> Script:
    (found,) = load_manifest().select([file])
    return found


def test_time_limit() -> None:
    outcomes = BuiltIn().prove(_static("static_agreement.pv"), 1.0, Event())
    assert set(results(outcomes)) == {"timeout"}
    assert all(outcome.reason for outcome in outcomes)


def test_the_time_limit_ends_a_single_step(tmp_path: Path) -> None:
    """The term has 2 ** 60 symbols, so that comparing it takes for ever. What was settled before stays."""
    doubled = "".join(f"let x{i + 1} = h(x{i}, x{i}) in " for i in range(60))
    (tmp_path / "large.pv").write_text(
        "free c: channel. fun h(bitstring, bitstring): bitstring. event E(bitstring).\n"
        "query attacker(c). query x: bitstring; event(E(x)) ==> x = c.\n"
        f"process in(c, x0: bitstring); {doubled} event E(x60)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "alts_proofs.engine", "--timeout", "2", str(tmp_path / "large.pv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    found = [json.loads(line) for line in done.stdout.splitlines()][1:]
    assert [(one["query"], one["result"]) for one in found] == [(0, "false"), (1, "timeout")]
    assert found[1]["reason"] == "a step did not end within the time limit"


def test_cancelled_runs_end() -> None:
    cancelled = Event()
    Timer(1.0, cancelled.set).start()
    start = time.monotonic()
    assert set(results(BuiltIn().prove(_static("static_agreement.pv"), 500, cancelled))) == {"timeout"}
    assert time.monotonic() - start < 100


def test_progress_is_told() -> None:
    seen: list[list[int]] = []
    BuiltIn(lambda file, numbers: seen.append(numbers)).prove(_static("static_observer.pv"), 200.0, Event())
    assert seen
    assert all(len(numbers) == 4 for numbers in seen)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place in which the command line finds the made-up script, and a ProVerif that says what is expected."""
    fitting = fake.GOOD.replace("not event(Ends(@3_x))", "not event(Ends(@3_x))")
    monkeypatch.setenv("ALTS_PROVERIF", str(fake.prover(tmp_path, fitting)))
    one = script(tmp_path, SCRIPT)
    monkeypatch.setattr(cli, "load_manifest", lambda: load_manifest(tmp_path / "expected.json", one.root))
    return tmp_path


def run(*arguments: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(arguments))


@pytest.mark.usefixtures("here")
def test_command_line_runs_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--engine", "builtin", "--json") == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "builtin"


def test_auto_uses_it_without_proverif(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALTS_PROVERIF", str(here / "nothing"))
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "builtin"


@pytest.mark.usefixtures("here")
def test_compare_passes_when_both_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--compare") == 0
    assert "3 queries compared, 0 contradictions, 0 settled by one only" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "code", "told"),
    [
        ("s[]) is true", "s[]) is false", 1, "CONTRADICTION made-up/secret: false and true"),
        ("Ends(@3_x)) is false", "Ends(@3_x)) is true", 1, "CONTRADICTION made-up/reached: true and false"),
        ("s[]) is true", "s[]) cannot be proved", 0, "weaker made-up/secret: cannot_be_proved and true"),
        ("RESULT", "RESOLT", 3, "ERROR proverif made_up.pv"),
    ],
)
def test_compare_fails_on_contradictions_alone(
    here: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, code: int, told: str
) -> None:
    assert old in fake.GOOD
    fake.prover(here, fake.GOOD.replace(old, new))
    assert run("--compare") == code
    assert told in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_charts_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--engine", "builtin", "--charts", str(tmp_path / "drawn" / "here")) == 0
    assert "1 chart in " in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "drawn" / "here").iterdir()] == ["made-up_reached.svg"]
    assert run("--compare", "--charts", str(tmp_path)) == 2
    assert run("--engine", "builtin", "--charts", str(tmp_path / "expected.json")) == 3


@pytest.mark.usefixtures("here")
def test_a_folder_for_charts_is_tried_before_anything_is_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    proved: list[str] = []
    monkeypatch.setattr(cli, "_report", lambda *_: proved.append("proved"))
    assert run("--engine", "builtin", "--charts", str(tmp_path / "expected.json" / "below")) == 3
    assert "expected.json" in capsys.readouterr().err
    (tmp_path / "drawn").mkdir()
    _fill_the_disk(monkeypatch)
    assert run("--engine", "builtin", "--charts", str(tmp_path / "drawn")) == 3
    assert "No space left" in capsys.readouterr().err
    assert list((tmp_path / "drawn").iterdir()) == []
    assert proved == []


def test_a_chart_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = prove(BuiltIn(), [script(tmp_path, SCRIPT)], 60)
    (chart,) = write_charts(report, tmp_path / "charts")
    before = chart.read_bytes()
    _fill_the_disk(monkeypatch)
    for folder, files in ((tmp_path / "charts", [chart]), (tmp_path / "new", [])):
        with pytest.raises(OSError, match="No space left"):
            write_charts(report, folder)
        assert list(folder.iterdir()) == files
    assert chart.read_bytes() == before


def _fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only five characters of a file go onto it."""

    def write(path: Path, text: str, encoding: str) -> None:
        with path.open("w", encoding=encoding) as file:
            file.write(text[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", write)


def test_compare_without_proverif_is_skipped(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALTS_PROVERIF", str(here / "nothing"))
    assert run("--compare") == 3
    assert "SKIPPED" in capsys.readouterr().out
    assert run("--compare", "--allow-skipped") == 0


@pytest.mark.parametrize("file", ["static_observer.pv", "twins/humans_serve.pv", "static_without_tickets.pv"])
@pytest.mark.timeout(400)
def test_it_settles_scripts_of_the_repository(file: str) -> None:
    report = prove(BuiltIn(), [_static(file)], 300)
    assert report.exit_code() == 0, list(report.lines())


@pytest.mark.timeout(400)
def test_it_agrees_with_proverif_on_a_script_of_the_repository() -> None:
    engine = ProVerif()
    reason = engine.available()
    if reason is not None:
        pytest.skip(reason)
    comparison = compare((engine, BuiltIn()), [_static("twins/humans_serve.pv")], 300)
    assert comparison.exit_code() == 0
    assert not comparison.weaker
