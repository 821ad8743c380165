"""ProVerif as an engine, played by a fake: verdicts, and everything that can go wrong with a foreign program."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Event

import pytest

from alts_proofs import (
    EngineFailure,
    EngineUnavailable,
    Outcome,
    ProVerif,
    Script,
    UsageError,
    load_manifest,
    prove,
    select_engine,
)
from tests.proofs import fake

pytestmark = pytest.mark.req("HS-13")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    place = fake.place(tmp_path)
    return load_manifest(place.manifest, place.root).scripts[0]


def engine(monkeypatch: pytest.MonkeyPatch, executable: Path) -> ProVerif:
    monkeypatch.setenv("ALTS_PROVERIF", str(executable))
    found = ProVerif()
    assert found.available() is None
    return found


def run(prover: ProVerif, script: Script, timeout: float = 30) -> tuple[Outcome, ...]:
    return prover.prove(script, timeout, Event())


def test_verdicts_reach_their_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    prover = engine(monkeypatch, fake.prover(tmp_path, fake.GOOD))
    assert prover.version == "2.05"
    outcomes = run(prover, script)
    assert [(o.query.id, o.result) for o in outcomes] == [(i, expected) for i, _, expected in fake.QUERIES]
    assert all(o.as_expected and o.seconds is not None for o in outcomes)


def test_prover_gets_libraries_then_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    executable = fake.prover(tmp_path, fake.GOOD, then="open('arguments', 'w').write(' '.join(sys.argv[1:]))")
    run(engine(monkeypatch, executable), script)
    assert (script.root / "arguments").read_text(encoding="utf-8") == "-lib lib/all.pvl made_up.pv"


def test_timeout_keeps_the_verdicts_so_far_and_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    pid_file = tmp_path / "pid"
    executable = fake.prover(
        tmp_path,
        "RESULT not attacker(s[]) is true.\n",
        then=f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)",
    )
    prover = engine(monkeypatch, executable)
    timeout = 0.5
    while True:  # on a busy machine even a fake needs time to start
        outcomes = run(prover, script, timeout)
        if outcomes[0].result == "true" and pid_file.exists():
            break
        timeout *= 2
    assert [o.result for o in outcomes] == ["true", "timeout", "timeout"]
    assert outcomes[1].reason is not None
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text(encoding="utf-8")), 0)


def test_timeout_holds_for_a_prover_that_closed_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    executable = fake.prover(tmp_path, fake.GOOD, then="os.close(1); os.close(2); time.sleep(600)")
    assert run(engine(monkeypatch, executable), script, 2)[-1].result in ("timeout", "false")


def test_timeout_holds_for_a_prover_that_never_stops_talking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    executable = fake.prover(tmp_path, "", then="while True: sys.stdout.write('x' * 65536)")
    assert {o.result for o in run(engine(monkeypatch, executable), script, 1)} == {"timeout"}


SWAPPED = "\n".join(
    [
        "RESULT inj-event(Ends(x_1)) ==> inj-event(Begins(x_1)) is true.",
        "RESULT not attacker(s[]) is true.",
        "RESULT not event(Ends(x)) is false.",
    ]
)


@pytest.mark.parametrize(
    ("output", "then", "message"),
    [
        pytest.param("bla\n" * 100, "", "before its summary", id="garbage"),
        pytest.param("", "", "before its summary", id="silence"),
        pytest.param("\x00\xff\n", "", "before its summary", id="binary"),
        pytest.param(fake.GOOD, "sys.exit(7)", "status 7", id="status"),
        pytest.param(fake.GOOD.split("Derivation")[0], "os.abort()", "before its summary", id="crash"),
        pytest.param(fake.GOOD, "os.kill(os.getpid(), 9)", "status -9", id="killed"),
        pytest.param(SWAPPED, "", "should be made-up/secret", id="reordered"),
        pytest.param(fake.GOOD.replace("Begins", "Starts"), "", "should be made-up/agrees", id="another query"),
        pytest.param(
            "RESULT not attacker(s[]) is true.\nVerification summary:\nQuery not attacker(s[]) is true.\n",
            "",
            "judged 1 queries, 3 are expected",
            id="too few",
        ),
        pytest.param(
            fake.GOOD.replace("\n---", "\nRESULT not attacker(t[]) is true.\n---", 1), "", "more queries", id="too many"
        ),
        pytest.param("RESULT what is this?\n", "", "cannot be read", id="unreadable verdict"),
        pytest.param('File "x.pv", line 1:\nError: Syntax error.\n', "sys.exit(2)", "Syntax error", id="error"),
    ],
)
def test_prover_that_cannot_be_trusted_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, output: str, then: str, message: str
) -> None:
    prover = engine(monkeypatch, fake.prover(tmp_path, output, then=then))
    with pytest.raises(EngineFailure, match=message):
        run(prover, script)
    report = prove(prover, [script])
    assert report.exit_code() == 3
    assert {o.result for o in report.files[0].outcomes} == {"unsupported"}


def test_cancellation_ends_a_run_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    prover = engine(monkeypatch, fake.prover(tmp_path, "", then="time.sleep(600)"))
    cancelled = Event()
    cancelled.set()
    assert {o.result for o in prover.prove(script, 600, cancelled)} == {"timeout"}


def test_prover_that_vanishes_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    executable = fake.prover(tmp_path, fake.GOOD)
    prover = engine(monkeypatch, executable)
    executable.unlink()
    with pytest.raises(EngineFailure, match="cannot be started"):
        run(prover, script)


def test_path_is_searched_when_the_variable_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALTS_PROVERIF", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not installed" in str(ProVerif().available())
    fake.prover(tmp_path, fake.GOOD)
    assert ProVerif().available() is None
    assert select_engine("auto").name == "proverif"


@pytest.mark.parametrize(
    ("banner", "message"),
    [
        ("Proverif 2.04. Cryptographic protocol verifier", "ProVerif 2.04"),
        ("Proverif 2.05pl1. Cryptographic protocol verifier", "ProVerif 2.05pl1"),
        ("Tamarin", "does not introduce itself"),
        ("", "does not introduce itself"),
    ],
)
def test_other_programs_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, banner: str, message: str
) -> None:
    monkeypatch.setenv("ALTS_PROVERIF", str(fake.prover(tmp_path, fake.GOOD, banner=banner)))
    with pytest.raises(EngineUnavailable, match=message):
        select_engine("proverif")
    assert select_engine("auto").name == "builtin"


def test_file_that_does_not_run_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "proverif"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    monkeypatch.setenv("ALTS_PROVERIF", str(path))
    assert "does not run" in str(ProVerif().available())


def test_engines_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="no engine"):
        select_engine("magic")


def test_prover_is_not_used_before_it_was_found(script: Script) -> None:
    with pytest.raises(EngineFailure, match="not found"):
        run(ProVerif(), script)


def test_scripts_run_side_by_side_and_report_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    prover = engine(monkeypatch, fake.prover(tmp_path, fake.GOOD))
    done: list[float] = []
    report = prove(prover, [script] * 3, jobs=3, progress=lambda file: done.append(time.monotonic()))
    assert len(done) == 3
    assert report.count() == (9, 0, 0, 0)
    assert report.exit_code() == 0
