"""Four automata are one: both tables, and what both machines are seen to do at every (state, input) pair."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest

import alts
from alts_conformance import vector_target
from alts_model import tables
from alts_model.endpoint import ConcreteEndpoint, Payload
from alts_model.errors import Misuse
from alts_model.messages import INPUT_OF_MESSAGE, INPUT_OF_TYPE
from alts_vectors import _settings
from alts_vectors.target import RoleName
from tests.differential.lockstep import CLIENT, HONEST, SERVER

Pair = tuple[str, str, str]
"""Role, state, input."""


class Reaction(NamedTuple):
    """What happens: the next state, and the messages that go out or, as `payload`, up. Misuse is refused."""

    next_state: str
    output: tuple[str, ...]
    misuse: bool = False


ROLES: tuple[RoleName, RoleName] = ("client", "server")
PAIRS: list[Pair] = [
    (role, state, symbol) for role in ROLES for state in tables.STATES[role] for symbol in tables.INPUTS
]


def wire(role: str, symbol: str) -> bytes:
    """A good frame for a wire symbol."""
    records = HONEST.server_records if role == "client" else HONEST.client_records
    return {
        "client_init": HONEST.client_init,
        "server_init": HONEST.server_init,
        "server_finished": HONEST.server_finished,
        "client_finished": HONEST.client_finished,
        "alert": bytes.fromhex("060000001f0000000805"),
        "data": records[0],
        "unknown": bytes.fromhex("1800000014000000") + bytes(20),
    }[symbol]


def messages(output: bytes) -> tuple[str, ...]:
    """The names of the frames in some bytes."""
    found = []
    while output:
        found.append(INPUT_OF_TYPE[int.from_bytes(output[4:8], "little")])
        output = output[4 + int.from_bytes(output[:4], "little") :]
    return tuple(found)


class Machine(NamedTuple):
    """One of the two, behind one face: calls by symbol, then its state, output and whether payload came."""

    name: str
    end: Any

    def do(self, role: str, symbol: str) -> tuple[bytes, bool]:
        """Output bytes, and whether payload came; Misuse and UsageError pass through."""
        if self.name == "model":
            return self._model(role, symbol)
        events: list[alts.Event] = []
        match symbol:
            case "start":
                self.end.start()
            case "send":
                self.end.send(b"payload")
            case "close":
                self.end.close()
            case "end":
                events = self.end.receive_end()
            case _:
                events = self.end.receive_data(wire(role, symbol))
        return self.end.data_to_send(), any(isinstance(event, alts.PayloadReceived) for event in events)

    def _model(self, role: str, symbol: str) -> tuple[bytes, bool]:
        match symbol:
            case "start":
                return self.end.start(), False
            case "send":
                return self.end.send(b"payload"), False
            case "close":
                self.end.close()
                return b"", False
            case "end":
                step = self.end.end()
            case _:
                step = self.end.receive(wire(role, symbol))
        return step.output, any(isinstance(event, Payload) for event in step.events)


def fresh(name: str, role: RoleName) -> Machine:
    """One end that has not begun."""
    settings = CLIENT if role == "client" else SERVER
    if name == "model":
        return Machine(name, ConcreteEndpoint(role, _settings.to_model(settings)))
    configuration, environment = vector_target.configuration_of(settings), vector_target.environment_of(settings)
    return Machine(name, alts.Connection(alts.Role(role), configuration, environment))


WAYS = {
    "START": (),
    "WAIT_SERVER_INIT": ("start",),
    "WAIT_SERVER_FINISHED": ("start", "server_init"),
    "WAIT_CLIENT_INIT": (),
    "WAIT_CLIENT_FINISHED": ("client_init",),
    "CLOSED": ("close",),
    "FAILED": ("unknown",),
}
OPEN_WAYS = {"client": ("start", "server_init", "server_finished"), "server": ("client_init", "client_finished")}


def observe(name: str, hits: Counter[Pair]) -> dict[Pair, Reaction]:
    """The automaton that a machine is seen to be, through its public interface alone."""
    seen = {}
    for role, state, symbol in PAIRS:
        machine = fresh(name, "client" if role == "client" else "server")
        for step in OPEN_WAYS[role] if state == "OPEN" else WAYS[state]:
            machine.do(role, step)
        assert str(machine.end.state) == state
        try:
            output, payload = machine.do(role, symbol)
        except (Misuse, alts.UsageError):
            seen[role, state, symbol] = Reaction(str(machine.end.state), (), True)
        else:
            names = messages(output) + (("payload",) if payload else ())
            seen[role, state, symbol] = Reaction(str(machine.end.state), names)
        hits[role, state, symbol] += 1
    return seen


def of_rule(role: str, state: str, symbol: str) -> Reaction:
    """SPEC 2.2 to 2.4 for a pair without a row."""
    if state in ("CLOSED", "FAILED"):
        return Reaction(state, (), symbol in ("start", "send"))
    if symbol in ("start", "send", "close"):
        return Reaction(state, (), True)
    alert = state != "OPEN" and symbol != "end"
    return Reaction("FAILED", ("alert",) if alert else ())


def of_model_table() -> dict[Pair, Reaction]:
    """Rows of the model's tables, the rule elsewhere."""
    found = {}
    for role, state, symbol in PAIRS:
        row = next((row for row in tables.TABLES[role] if (row.state, row.input) == (state, symbol)), None)
        found[role, state, symbol] = (
            of_rule(role, state, symbol)
            if row is None
            else Reaction(row.next_state, tuple(INPUT_OF_MESSAGE.get(name, name) for name in row.output))
        )
    return found


def of_implementation_table() -> dict[Pair, Reaction]:
    """Rows of the implementation's table, the rule elsewhere."""
    rows = {(str(row.role), str(row.state), str(row.input)): row for row in alts.TRANSITIONS}
    assert len(rows) == len(alts.TRANSITIONS)
    names = {"records": "data"}
    return {
        pair: of_rule(*pair)
        if pair not in rows
        else Reaction(str(rows[pair].next_state), tuple(names.get(name, name) for name in rows[pair].output))
        for pair in PAIRS
    }


@pytest.mark.req("HS-2", "HS-6", "HS-7", "HS-8", "HS-9", "REC-8", "TRUST-9")
def test_four_automata_are_one(capsys: pytest.CaptureFixture[str]) -> None:
    hits: Counter[Pair] = Counter()
    automata = {
        "the model's tables": of_model_table(),
        "the implementation's table": of_implementation_table(),
        "the model, observed": observe("model", hits),
        "the implementation, observed": observe("implementation", hits),
    }
    reference = automata["the model's tables"]
    for name, automaton in automata.items():
        different = {pair: (automaton[pair], reference[pair]) for pair in PAIRS if automaton[pair] != reference[pair]}
        assert different == {}, name
    assert all(hits[pair] == 2 for pair in PAIRS)
    with capsys.disabled():
        kinds = Counter("row" if (r, s, i) in _rows() else "no row" for r, s, i in PAIRS)
        print(f"\n{len(PAIRS)} (role, state, input) pairs, each driven on both machines: {dict(kinds)}", end="")


def _rows() -> set[Pair]:
    return {(row.role, row.state, row.input) for role in ROLES for row in tables.TABLES[role]}


@pytest.mark.req("HS-2")
def test_the_tables_agree_on_claims_requirements_and_guards() -> None:
    implementation = {(str(row.role), str(row.state), str(row.input)): row for row in alts.TRANSITIONS}
    model = {(row.role, row.state, row.input): row for role in ROLES for row in tables.TABLES[role]}
    assert implementation.keys() == model.keys()
    guards: dict[str, set[str]] = {}
    for pair, row in model.items():
        other = implementation[pair]
        assert (row.claim or "", row.requirements) == (other.claim, other.requirements), pair
        guards.setdefault(other.guard, set()).add(row.guard.partition(" (")[0])
    assert guards == {
        "": {tables.NO_GUARD},
        "acceptable": {"acceptable"},
        "authenticators": {"both authenticators are right"},
        "well_formed": {"well-formed"},
        "opens": {"the record opens"},
        "below_limit": {"below the frame limit"},
        "frame_boundary": {"at a frame boundary"},
    }


def test_states_and_inputs_have_the_same_names() -> None:
    assert {str(role): tuple(map(str, states)) for role, states in alts.STATES.items()} == {
        role: tables.STATES[role] for role in ROLES
    }
    assert set(map(str, alts.Input)) == set(tables.INPUTS)
