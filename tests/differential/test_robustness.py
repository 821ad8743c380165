"""The robustness bars, on a tenth of the inputs; and the same inputs under Hypothesis, which shrinks what it finds."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import alts
from alts_conformance import robustness
from alts_conformance._spoil import Scene

SCENE = Scene(7)
COUNT = int(os.environ.get("ALTS_INPUTS", "10000"))


@pytest.mark.req("HS-2", "REC-2", "REC-3", "REC-5")
def test_the_bars_are_met(capsys: pytest.CaptureFixture[str]) -> None:
    """In a process of its own: memory is compared."""
    command = [sys.executable, "-m", "alts_conformance.robustness", "--count", "10000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["missed"] == []
    assert report["inputs"] == 10000
    assert len(report["pairs"]) == 121
    assert all(report["pairs"].values())
    with capsys.disabled():
        share = report["pastFirstParse"] / report["inputs"]
        grown = (report["memoryLast"] - report["memoryFirstTenth"]) / 2**20
        print(f"\n10000 inputs: {share:.1%} past the first parse, memory {grown:+.2f} MiB, 121 of 121 pairs", end="")


@pytest.mark.req("HS-2", "REC-2")
@pytest.mark.timeout(900)
@seed(20261121)
@settings(max_examples=COUNT, database=None)
@given(st.sampled_from(robustness.PAIRS), st.integers(0, 2**64 - 1))
def test_no_input_raises_or_leaves_a_wrong_state(pair: robustness.Pair, number: int) -> None:
    """A tenth of the inputs; ALTS_INPUTS=100000 tries all."""
    _, wrong = robustness.attempt(SCENE, pair, random.Random(number))
    assert wrong is None


def run_with(monkeypatch: pytest.MonkeyPatch, receive: object, count: int = 700) -> list[str]:
    """The missed bars of an implementation whose `receive_data` is another."""
    monkeypatch.setattr(alts.Connection, "receive_data", receive)
    return robustness.run(count, 3, scene=SCENE).missed()


def test_a_crash_is_a_missed_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = alts.Connection.receive_data

    def receive(self: alts.Connection, data: bytes) -> list[alts.Event]:
        if len(data) % 97 == 13:
            raise IndexError("planted")
        return honest(self, data)

    assert any("undocumented" in text for text in run_with(monkeypatch, receive))


def test_growth_is_a_missed_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, kept = alts.Connection.receive_data, list[bytes]()

    def receive(self: alts.Connection, data: bytes) -> list[alts.Event]:
        kept.append(bytes(bytearray(20_000)))
        return honest(self, data)

    assert any("memory grew" in text for text in run_with(monkeypatch, receive))


def test_a_state_that_is_never_reached_is_a_missed_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(self: alts.Connection, data: bytes) -> list[alts.Event]:
        return []

    missed = run_with(monkeypatch, receive, 300)
    assert any("undocumented" in text for text in missed), "not reached"


def test_a_slow_input_is_a_missed_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**9, 2))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    assert any("or more, twice" in text for text in robustness.run(20, 3).missed())


def test_too_few_inputs_leave_pairs_unhit() -> None:
    tally = robustness.run(10, 3)
    assert any("never hit" in text for text in tally.missed())
    assert robustness.main(["--count", "0"]) == 3
    assert robustness.main(["--count", "10", "--json"]) == 1
