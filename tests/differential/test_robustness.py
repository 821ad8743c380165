"""The robustness bars, on a tenth of the inputs; and a tenth of them under Hypothesis, which shrinks what it finds.

`python -m alts_conformance.robustness` runs all 100,000; with ALTS_INPUTS=100000 Hypothesis drives that many, too.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import alts
from alts import Input, PeerViolation, Role, State
from alts_conformance import robustness
from alts_conformance._spoil import Scene, frame

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
    assert report["spoiltInputs"] == 10000
    assert report["honestInputs"] == 1000
    assert len(report["pairs"]) == 121
    assert all(report["pairs"].values())
    live = report["spoiltInputsToLiveStates"]
    assert 8000 < live < 10000
    assert report["pastFirstParse"] >= 0.3 * live
    with capsys.disabled():
        share = f"{report['pastFirstParse'] / live:.1%} of {live} that came to a live state"
        grown = (report["memoryLast"] - report["memoryFirstTenth"]) / 2**20
        print(f"\n10000 spoilt inputs: {share} past the first parse, memory {grown:+.2f} MiB, 121 of 121 pairs", end="")


@settings(max_examples=300)
@given(st.sampled_from(robustness.PAIRS), st.integers(0, 2**64 - 1))
def test_a_spoilt_input_is_never_an_honest_one(pair: robustness.Pair, number: int) -> None:
    role, _, symbol = pair
    if symbol in robustness.WIRE_INPUTS:
        spoilt = robustness.wire_input(SCENE, pair, random.Random(number))
        assert spoilt
        if symbol is not alts.Input.END:
            # the choice of records is the first draw: the same number gives the same honest bytes
            assert spoilt != SCENE.good(role, symbol, random.Random(number))


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


@pytest.mark.req("HS-2")
@pytest.mark.parametrize(
    ("state", "data", "name", "sent", "well"),
    [
        # in OPEN nothing is sent
        ((Role.SERVER, State.OPEN), bytes(8), "DECODE_ERROR", b"", True),
        ((Role.SERVER, State.OPEN), bytes(8), "DECODE_ERROR", robustness.alert_frame(1), False),
        ((Role.CLIENT, State.OPEN), bytes(8), "DECODE_ERROR", robustness.alert_frame(1), False),
        # in a WAIT state one alert is, with the code of the failure
        ((Role.SERVER, State.WAIT_CLIENT_INIT), bytes(8), "DECODE_ERROR", robustness.alert_frame(1), True),
        ((Role.SERVER, State.WAIT_CLIENT_INIT), bytes(8), "DECODE_ERROR", b"", False),
        ((Role.SERVER, State.WAIT_CLIENT_INIT), bytes(8), "DECODE_ERROR", robustness.alert_frame(2), False),
        ((Role.SERVER, State.WAIT_CLIENT_INIT), bytes(8), "DECODE_ERROR", 2 * robustness.alert_frame(1), False),
        ((Role.SERVER, State.WAIT_CLIENT_INIT), bytes(8), "DECODE_ERROR", b"what is this", False),
        ((Role.CLIENT, State.WAIT_SERVER_FINISHED), frame(20, b""), "UNEXPECTED_MESSAGE", b"", False),
        ((Role.CLIENT, State.START), frame(31, b"\x08\x05"), "UNEXPECTED_MESSAGE", b"", False),
        ((Role.CLIENT, State.START), frame(31, b"\x08\x05"), "UNEXPECTED_MESSAGE", robustness.alert_frame(2), True),
        # but not in answer to an alert
        ((Role.CLIENT, State.WAIT_SERVER_INIT), frame(31, b"\x08\x05"), "PEER_ALERT", b"", True),
        ((Role.CLIENT, State.WAIT_SERVER_INIT), frame(31, b"\x08\x05"), "PEER_ALERT", robustness.alert_frame(1), False),
        ((Role.CLIENT, State.WAIT_SERVER_INIT), frame(31, b"\x08"), "DECODE_ERROR", b"", True),
        ((Role.CLIENT, State.WAIT_SERVER_INIT), frame(31, b"\x08"), "DECODE_ERROR", robustness.alert_frame(1), False),
        # accepted messages have their answers, and nothing else
        ((Role.SERVER, State.WAIT_CLIENT_INIT), SCENE.good(Role.SERVER, Input.CLIENT_INIT), "waiting", b"", False),
        ((Role.CLIENT, State.WAIT_SERVER_INIT), SCENE.good(Role.CLIENT, Input.SERVER_INIT), "accepted", b"", True),
        ((Role.CLIENT, State.WAIT_SERVER_INIT), SCENE.good(Role.CLIENT, Input.SERVER_INIT), "accepted", b"x", False),
        ((Role.SERVER, State.OPEN), SCENE.good(Role.SERVER, Input.DATA), "accepted", b"", True),
        ((Role.SERVER, State.OPEN), SCENE.good(Role.SERVER, Input.DATA), "accepted", frame(6, bytes(40)), False),
    ],
)
def test_what_is_sent_is_judged_to_the_byte(
    monkeypatch: pytest.MonkeyPatch, state: tuple[Role, State], data: bytes, name: str, sent: bytes, well: bool
) -> None:
    connection = SCENE.connection(*state)
    events = connection.receive_data(data)
    monkeypatch.setattr(alts.Connection, "data_to_send", lambda self: sent)
    outcome, wrong = robustness.judge(connection, state[1], data, events)
    assert outcome in (name, "accepted")
    assert (wrong is None) is well, wrong


def replaced_output(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[State, PeerViolation, bytes], bytes]
) -> list[str]:
    """The missed bars of an implementation that sends something else when it fails."""
    receive, send = alts.Connection.receive_data, alts.Connection.data_to_send
    failed = dict[int, PeerViolation]()

    def receive_data(self: alts.Connection, data: bytes) -> list[alts.Event]:
        events = receive(self, data)
        failures = [event.error for event in events if isinstance(event, alts.ConnectionFailed)]
        failed.update({id(self): error for error in failures})
        return events

    def data_to_send(self: alts.Connection) -> bytes:
        error = failed.pop(id(self), None)
        return send(self) if error is None else change(State(error.state or ""), error, send(self))

    monkeypatch.setattr(alts.Connection, "receive_data", receive_data)
    monkeypatch.setattr(alts.Connection, "data_to_send", data_to_send)
    return robustness.run(700, 3, scene=SCENE).missed()


@pytest.mark.req("HS-2")
@pytest.mark.parametrize(
    "change",
    [
        lambda state, error, sent: robustness.alert_frame(error.code) if state is State.OPEN else sent,
        lambda state, error, sent: sent + b"more" if state is not State.OPEN else sent,
        lambda state, error, sent: b"" if state is not State.OPEN else sent,
        lambda state, error, sent: robustness.alert_frame(1) if state is State.WAIT_SERVER_INIT else sent,
    ],
    ids=["alert in OPEN", "more than the alert", "no alert", "alert for everything"],
)
def test_bytes_that_must_not_be_sent_are_a_missed_bar(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[State, PeerViolation, bytes], bytes]
) -> None:
    assert any("undocumented" in text for text in replaced_output(monkeypatch, change))


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
