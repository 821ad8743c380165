"""One direction of a connection: frames are numbered without a gap, it stops at the limit, and opens each in its place.

Both machines of the model are run: `RecordMachine`, and the rows `send` and `data` of the abstract machine. Each starts
at any counter whatever, so that what holds of these few frames holds, one after the other, of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import z3

from alts_model import record
from alts_model.checks.counters import Place, one_direction, symbolic
from alts_model.checks.execution import Truth, explore, formula, rebound, rebound_class
from alts_model.checks.proving import Check, Example, Fault, Statement
from alts_model.checks.words import Octets, counter, octets
from alts_model.connection import Local
from alts_model.errors import CounterLimit, Misuse, Refused
from alts_model.machine import Machine
from alts_model.record import RecordMachine
from alts_model.resuming import other_role
from alts_model.tables import FRAME_LIMIT, Role

ROLES: tuple[Role, Role] = ("client", "server")
_PLACE = cast(Place, record.record_key)


@dataclass(frozen=True)
class Machines:
    """Both machines, and where a frame's key and nonce come from."""

    record_machine: type[RecordMachine] = RecordMachine
    machine: type[Machine[Any]] = Machine
    place: Place = _PLACE


class _Algebra:
    """The part of the algebra that data frames need."""

    def __init__(self, seal: Callable[..., Any], open_: Callable[..., Any]) -> None:
        self.seal, self.open = seal, open_


class _Rows:
    """The abstract machine's rows, with the face of a RecordMachine."""

    def __init__(self, machine: Machine[Any], M: Any, role: Role, sent: Any, received: Any) -> None:
        self._machine = machine
        schedule = cast(Any, SimpleNamespace(M=M))
        self._local: Local[Any] = Local(role, "OPEN", cast(Any, None), schedule=schedule, sent=sent, received=received)

    def seal(self, plaintext: bytes) -> Any:
        try:
            return self._step("send", plaintext)
        except (Refused, Misuse):
            raise CounterLimit from None

    def open(self, payload: Any) -> Any:
        return self._step("data", payload)

    def _step(self, input_name: str, payload: Any) -> Any:
        outcome = self._machine.step(self._local, input_name, payload)
        self._local = outcome.local
        if outcome.failure is not None:
            raise outcome.failure.refusal
        if not outcome.outputs:
            raise Refused("BAD_RECORD", "the connection is over")
        return outcome.outputs[0][1]


def _both(
    machines: Machines, M: Any, role: Role, seal: Callable[..., Any], open_: Callable[..., Any], **at: Any
) -> list[tuple[str, Callable[[], Any]]]:
    """How to make the two machines; they seal and open by these functions."""
    names: dict[str, Any] = {"seal": seal, "open_record": open_, "frame": lambda _, payload: payload}
    sound = rebound_class(RecordMachine, ("seal", "open"), **names)
    bound = rebound_class(machines.record_machine, ("seal", "open"), **names, RecordMachine=sound)
    counters = at.get("sent", 0), at.get("received", 0)
    return [
        ("record machine", lambda: bound(M, role, send_counter=counters[0], receive_counter=counters[1])),
        ("rows", lambda: _Rows(machines.machine(cast(Any, _Algebra(seal, open_))), M, role, *counters)),
    ]


# Sending.

PLAINTEXTS = (b"some", b"", b"more")


def _sent(make: Callable[[], Any], numbers: list[Any]) -> bool:
    """Send three frames, and once more where the machine has stopped; whether it stopped. `numbers` is filled."""
    machine, stopped = make(), False
    for plaintext in PLAINTEXTS:
        try:
            machine.seal(plaintext)
        except CounterLimit:
            stopped = True
    return stopped


def _stopping(machines: Machines) -> Iterator[Statement]:
    start = counter("start")
    numbers: list[Any] = []

    def note(_M: Any, _sender: Role, number: Any, _plaintext: bytes) -> bytes:
        numbers.append(number)
        return b""

    for role in ROLES:
        for kind, make in _both(machines, b"", role, note, lambda *_: None, sent=start):

            def run(make: Callable[[], Any] = make) -> tuple[list[Any], bool]:
                numbers.clear()
                stopped = _sent(make, numbers)
                return [*numbers], stopped

            def example(model: Any, kind: str = kind, role: Role = role) -> Example:
                return {
                    "machine": kind,
                    "role": role,
                    "start": model.eval(start.term, model_completion=True).as_long(),
                }

            for path in explore(run, (z3.ULE(start.term, FRAME_LIMIT),)):
                assert path.value is not None
                used, stopped = path.value
                in_order = [cast(Any, number).term == start.term + at for at, number in enumerate(used)]
                below = [z3.ULT(number.term, FRAME_LIMIT) for number in used]
                if stopped:
                    end = start.term + len(used) == FRAME_LIMIT
                    yield Statement("stops", path.condition, z3.And(end, *in_order, *below), example)
                else:
                    whole = z3.And(len(used) == len(PLAINTEXTS), *in_order, *below)
                    yield Statement("goes on", path.condition, whole, example)


def _stopping_violates(machines: Machines, example: Example) -> str | None:
    start = example["start"]
    numbers: list[int] = []

    def note(_M: Any, _sender: Role, number: int, _plaintext: bytes) -> bytes:
        numbers.append(number)
        return b""

    for kind, make in _both(machines, b"", example["role"], note, lambda *_: None, sent=start):
        if kind == example["machine"]:
            numbers.clear()
            stopped = _sent(make, numbers)
    wanted = [start + at for at in range(len(PLAINTEXTS)) if start + at < FRAME_LIMIT]
    if numbers != wanted:
        return f"frames are numbered {[hex(number) for number in numbers]}, not {[hex(number) for number in wanted]}"
    return None if stopped == (len(wanted) < len(PLAINTEXTS)) else "it stopped too early or too late"


class _WrapsRound(RecordMachine):
    def seal(self, plaintext: bytes) -> bytes:
        sealed = RecordMachine.seal(self, plaintext)
        self.send_counter, self.send_state = self.send_counter % FRAME_LIMIT, "COUNTING"
        return sealed


class _SkipsEmpty(RecordMachine):
    def seal(self, plaintext: bytes) -> bytes:
        sealed = RecordMachine.seal(self, plaintext)
        if not plaintext:
            self.send_counter -= 1
        return sealed


class _NoLimit(Machine[Any]):
    def __init__(self, algebra: Any) -> None:
        super().__init__(algebra)
        self._guards["below the frame limit (8.4)"] = lambda local, _payload, _: local


STOPPING = Check(
    "record: the counter stops",
    "frames are numbered one after the other, empty ones too, each number once; after frame 2^64 - 1 nothing is sent, "
    "however often it is tried",
    "any counter from 0 to 2^64 at the start, both roles, both machines; three frames are enough, since the "
    "next ones start at another counter",
    ("REC-4", "REC-8"),
    frozenset({"goes on", "stops"}),
    Machines(),
    (
        Fault("wraps round", "after the last frame the counter is 0 again", Machines(record_machine=_WrapsRound)),
        Fault("empty frames", "an empty frame is not counted", Machines(record_machine=_SkipsEmpty)),
        Fault("no limit", "the machine does not look at the limit", Machines(machine=_NoLimit)),
    ),
    _stopping,
    _stopping_violates,
)


# Receiving.


def _ideal_seal(key: Octets, nonce: Octets, _plaintext: bytes) -> Any:
    return key, nonce


def _ideal_open(key: Octets, nonce: Octets, payload: tuple[Octets, Octets]) -> bytes | None:
    return b"some" if Truth(z3.And(key.is_equal(payload[0]), nonce.is_equal(payload[1]))) else None


def _received(make: Callable[[], Any], frame: Any, of_peer: Callable[[Any], Any], here: Any) -> str:
    """What becomes of a frame, and of what comes after it: `delivered`, `refused`, `limit`, or what went wrong."""
    machine = make()
    try:
        machine.open(frame)
    except Refused as refusal:
        at_limit = refusal.error.name == "COUNTER_LIMIT"
        if _opens(machine, frame if at_limit else of_peer(here)):
            return "refused, and the direction goes on"
        return "limit" if at_limit else "refused"
    if _opens(machine, frame):
        return "delivered twice"
    machine = make()
    machine.open(frame)
    following = here + 1
    if following < FRAME_LIMIT and not _opens(machine, of_peer(following)):
        return "delivered, and the next one refused"
    return "delivered"


def _opens(machine: Any, frame: Any) -> bool:
    try:
        machine.open(frame)
    except Refused:
        return False
    return True


def _in_place(machines: Machines) -> Iterator[Statement]:
    place = symbolic(machines.place)
    seal = rebound(record.seal, record_key=place, aes128_gcm_seal=_ideal_seal)
    open_ = rebound(record.open_record, record_key=place, aes128_gcm_open=_ideal_open)
    M, here, number = octets("M", 128), counter("counter"), counter("number")
    given = (z3.ULE(here.term, FRAME_LIMIT), z3.ULT(number.term, FRAME_LIMIT))
    at_limit = here.term == FRAME_LIMIT
    for role, sender in product(ROLES, ROLES):
        right = z3.And(sender != role, formula(here == number))
        claims = {"delivered": right, "refused": z3.Not(z3.Or(right, at_limit)), "limit": at_limit}
        for kind, make in _both(machines, M, role, seal, open_, received=here):

            def run(make: Callable[[], Any] = make, role: Role = role, sender: Role = sender) -> str:
                frame = seal(M, sender, number, b"some")
                return _received(make, frame, lambda at: seal(M, other_role(role), at, b"some"), here)

            def example(model: Any, kind: str = kind, role: Role = role, sender: Role = sender) -> Example:
                numbers = [model.eval(one.term, model_completion=True).as_long() for one in (here, number)]
                return {"machine": kind, "role": role, "counter": numbers[0], "frame": (sender, numbers[1])}

            for path in explore(run, given):
                assert path.value is not None
                claim = claims.get(path.value, z3.BoolVal(False))
                yield Statement(path.value.partition(",")[0].partition(" ")[0], path.condition, claim, example)


def _in_place_violates(machines: Machines, example: Example) -> str | None:
    seal = rebound(record.seal, record_key=machines.place)
    open_ = rebound(record.open_record, record_key=machines.place)
    M, role, here = bytes(range(128)), example["role"], example["counter"]
    sender, number = example["frame"]
    makers = dict(_both(machines, M, role, seal, open_, received=here))
    frame = seal(M, sender, number, b"some")
    came = _received(makers[example["machine"]], frame, lambda at: seal(M, other_role(role), at, b"some"), here)
    right = (sender, number) == (other_role(role), here)
    wanted = "limit" if here == FRAME_LIMIT else "delivered" if right else "refused"
    return None if came == wanted else f"the frame is {came}; it should be {wanted}"


class _DoesNotCount(Machine[Any]):
    def _record_opens(self, local: Local[Any], payload: Any, resumption: Any) -> Local[Any]:
        return replace(super()._record_opens(local, payload, resumption), received=local.received)


class _GoesOn(RecordMachine):
    def open(self, payload: bytes) -> bytes:
        try:
            return RecordMachine.open(self, payload)
        except Refused:
            if self.receive_state == "FAILED":
                self.receive_state = "COUNTING"
            raise


IN_PLACE = Check(
    "record: a frame in its place",
    "a frame opens only at the end it was not sent by, and only when it is the next one, once; one that does not "
    "open ends the direction; at the limit none opens",
    "any counter from 0 to 2^64, any frame of either sender, any M, both machines; AES-GCM opens under its own key and "
    "nonce alone",
    ("REC-4", "REC-5", "REC-8"),
    frozenset({"delivered", "refused", "limit"}),
    Machines(),
    (
        Fault("one direction", "the direction is not in the counter", Machines(place=cast(Place, one_direction))),
        Fault("not counted", "the receiver does not count", Machines(machine=_DoesNotCount)),
        Fault("goes on", "after a bad frame the direction goes on", Machines(record_machine=_GoesOn)),
    ),
    _in_place,
    _in_place_violates,
)
