"""`ConcreteEndpoint`: one end of a connection over bytes, for lockstep tests and vectors.

It adds to the abstract machine what is about bytes alone: frames, buffering, limits, events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from alts_model.algebra import FINISHED_LABELS, TICKET_LABELS, KeySchedule
from alts_model.codec import frame
from alts_model.concrete import ConcreteAlgebra
from alts_model.configuration import Configuration as Configuration
from alts_model.configuration import Credential as Credential
from alts_model.configuration import party
from alts_model.connection import Failure, Local, Outcome
from alts_model.errors import CounterLimit, Misuse
from alts_model.machine import Machine
from alts_model.messages import (
    DATA_FRAME,
    INPUT_OF_MESSAGE,
    INPUT_OF_TYPE,
    MODE_FULL,
    RpcVersion,
    present,
)
from alts_model.record import OVERHEAD, RecordKey, record_key
from alts_model.resuming import other_role
from alts_model.syntax import (
    MAX_FRAME_SIZE,
)
from alts_model.tables import FINAL_STATES, FRAME_LIMIT, Role, find

MAX_HANDSHAKE_FRAME: Final = 16384
"""Largest `length` before OPEN (SPEC.md 3.3)."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The handshake is done; the peer is authenticated (TRUST-5). `mode` is that of SPEC.md 12.1, by number."""

    peer_identity: str
    category: int
    handshake_cipher: str
    record_protocol: str
    application_protocol: str
    rpc_version: RpcVersion
    max_frame_size: int
    transcript_hash: bytes
    mode: int = MODE_FULL


@dataclass(frozen=True, slots=True)
class Payload:
    """Plaintext of one frame; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection failed in `state`. `alert_code` is the peer's code if it sent an alert."""

    code: int
    name: str
    state: str
    requirements: tuple[str, ...]
    alert_code: int | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer's stream ended at a frame boundary."""


Event: TypeAlias = Completed | Payload | Failed | Closed


@dataclass(frozen=True, slots=True)
class Step:
    """Bytes for the peer, and events for the application, both in order."""

    output: bytes
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class RecordTrace:
    """One data frame as it was sealed or opened."""

    sender: Role
    number: int
    where: RecordKey
    plaintext: bytes
    frame: bytes


@dataclass(slots=True)
class Trace:
    """Every intermediate value of a run, by name in the order of computation, and every record. For vectors only."""

    values: dict[str, bytes] = field(default_factory=dict)
    records: list[RecordTrace] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Trace({len(self.values)} values, {len(self.records)} records, hidden)"


class ConcreteEndpoint:
    """One end of one connection. Feed it bytes in any segmentation; it gives bytes and events.

    Raises:
        ConfigurationError: the configuration is one that no endpoint of this version may have.
    """

    def __init__(self, role: Role, configuration: Configuration) -> None:
        self._algebra = ConcreteAlgebra()
        self._machine = Machine(self._algebra)
        self._resumption = configuration.resumption
        self._local: Local[bytes] = self._machine.initial(role, party(self._algebra, role, configuration))
        self._buffer = bytearray()
        self._frame_limit = MAX_FRAME_SIZE
        self.claims: list[str] = []
        self.secrets = Trace()

    @property
    def role(self) -> Role:
        """`client` or `server`."""
        return self._local.role

    @property
    def state(self) -> str:
        """The state, named as in SPEC.md 2.1."""
        return self._local.state

    @property
    def max_frame_size(self) -> int:
        """The negotiated size; before OPEN the largest that there is."""
        return self._frame_limit

    def start(self) -> bytes:
        """The client's first frame. Raises Misuse for a server or a second start."""
        return self._apply(self._machine.step(self._local, "start", None, self._resumption)).output

    def send(self, data: bytes, sizes: Sequence[int] | None = None) -> bytes:
        """Protect application bytes: frames of the largest allowed size, or plaintexts of exactly `sizes` bytes.

        Raises:
            Misuse: the connection is not OPEN, or `sizes` does not fit `data` or the frame size. Nothing has changed.
            CounterLimit: the frames left are too few: nothing is sent and the connection is closed (SPEC.md 8.4).
        """
        if find(self.role, self.state, "send") is None:
            raise Misuse(f"send in {self.state}")
        largest = self._frame_limit - OVERHEAD
        if sizes is None:
            sizes = [min(largest, len(data) - start) for start in range(0, len(data), largest)]
        if sum(sizes) != len(data) or any(not 0 <= size <= largest for size in sizes):
            raise Misuse("sizes do not add up to the data, or one is larger than a frame may be")
        if len(sizes) > FRAME_LIMIT - self._local.sent:
            self.close()
            raise CounterLimit("too few frames left in this direction; the connection is closed")
        output, position = b"", 0
        for size in sizes:
            output += self._send_one(data[position : position + size])
            position += size
        return output

    def receive(self, data: bytes) -> Step:
        """Bytes from the peer, cut anywhere (SPEC.md 3.6). In CLOSED and FAILED they are discarded."""
        output, events = b"", list[Event]()
        self._buffer += data
        while self.state not in FINAL_STATES and (outcome := self._next_frame()) is not None:
            step = self._apply(outcome)
            output += step.output
            events += step.events
        if self.state in FINAL_STATES:
            self._buffer.clear()
        return Step(output, tuple(events))

    def end(self) -> Step:
        """The end of the peer's stream."""
        if not self._buffer:
            return self._apply(self._machine.step(self._local, "end"))
        self._buffer.clear()
        return self._apply(self._machine.refuse(self._local, "TRUNCATED", alert=False))

    def close(self) -> None:
        """The application closes. Does nothing in CLOSED and FAILED."""
        self._apply(self._machine.step(self._local, "close"))
        self._buffer.clear()

    def jump(self, *, sent: int | None = None, received: int | None = None) -> None:
        """Set the counters, as if so many frames had passed: the way to the rekey boundary and the limit.

        Raises:
            Misuse: the connection is not OPEN, or a counter is not 0 to 2^64.
        """
        counters = [self._local.sent if sent is None else sent, self._local.received if received is None else received]
        if self.state != "OPEN" or any(not 0 <= counter <= FRAME_LIMIT for counter in counters):
            raise Misuse("jump needs an open connection and counters of 0 to 2^64")
        self._local = replace(self._local, sent=counters[0], received=counters[1])

    def _send_one(self, plaintext: bytes) -> bytes:
        number, M = self._local.sent, present(self._local.schedule).M
        outcome = self._machine.step(self._local, "send", plaintext)
        step = self._apply(outcome)
        self._trace_record(M, self.role, number, plaintext, step.output)
        return step.output

    def _next_frame(self) -> Outcome[bytes] | None:
        """Handle one frame, or the beginning of one that is already known to be refused; None: more bytes needed."""
        local, buffer = self._local, self._buffer
        is_open = local.state == "OPEN"
        if len(buffer) < 4:
            return None
        length = int.from_bytes(buffer[0:4], "little")
        if length < (20 if is_open else 4):
            return self._machine.refuse(local, "DECODE_ERROR", alert=not is_open)
        if length > (self._frame_limit if is_open else MAX_HANDSHAKE_FRAME):
            return self._machine.refuse(local, "FRAME_TOO_LARGE", alert=not is_open)
        if len(buffer) < 8:
            return None
        number = int.from_bytes(buffer[4:8], "little")
        input_name = INPUT_OF_TYPE.get(number, "unknown")
        if find(local.role, local.state, input_name) is None:
            return self._machine.step(local, input_name)
        if len(buffer) < 4 + length:
            return None
        payload = bytes(buffer[8 : 4 + length])
        del buffer[: 4 + length]
        outcome = self._machine.step(local, input_name, payload, self._resumption)
        if number == DATA_FRAME and outcome.failure is None:
            plaintext = outcome.outputs[0][1]
            self._trace_record(
                present(local.schedule).M, other_role(local.role), local.received, plaintext, frame("data", payload)
            )
        return outcome

    def _apply(self, outcome: Outcome[bytes]) -> Step:
        before, self._local = self._local, outcome.local
        output, events = b"", list[Event]()
        self._note(before, outcome)
        if before.state != "OPEN" == outcome.local.state:
            events.append(_completed(outcome.local))
            self._frame_limit = present(outcome.local.agreed).choices.max_frame_size
        for name, value in outcome.outputs:
            if name == "payload":
                if value:
                    events.append(Payload(value))
            else:
                output += frame(INPUT_OF_MESSAGE[name], value)
        if outcome.failure is not None:
            events.append(_failed(outcome.failure))
        elif outcome.row is not None and outcome.row.input == "end":
            events.append(Closed())
        return Step(output, tuple(events))

    def _note(self, before: Local[bytes], outcome: Outcome[bytes]) -> None:
        self.claims += [claim.name for claim in outcome.claims]
        after, values = outcome.local, self.secrets.values
        for name, value in (("client_init", after.client_init), ("server_init", after.server_init)):
            if value is not None:
                values.setdefault(name, value)
        if before.schedule is None and after.schedule is not None:
            values.update(schedule_values(self._algebra, after.schedule))
        values.update(after.notes)
        if after.schedule is not None:
            for role, ticket in zip(_ROLES, after.tickets, strict=True):
                authenticator = self._algebra.ticket_authenticator(after.schedule.A, TICKET_LABELS[role], ticket)
                values[f"{role}_ticket_authenticator"] = authenticator

    def _trace_record(self, M: bytes, sender: Role, number: int, plaintext: bytes, whole: bytes) -> None:
        self.secrets.records.append(RecordTrace(sender, number, record_key(M, sender, number), plaintext, whole))


_ROLES: Final[tuple[Role, Role]] = ("server", "client")


def schedule_values(algebra: ConcreteAlgebra, schedule: KeySchedule[bytes]) -> dict[str, bytes]:
    """Every value of SPEC.md section 7 by name, with the authenticators for Finished messages without tickets."""
    values = {name: getattr(schedule, name) for name in KeySchedule.__dataclass_fields__}
    for role in _ROLES:
        values[f"{role}_authenticator"] = algebra.authenticator(schedule.A, FINISHED_LABELS[role])
        values[f"{role}_ticket_authenticator"] = algebra.ticket_authenticator(schedule.A, TICKET_LABELS[role], None)
    return values


def _completed(local: Local[bytes]) -> Completed:
    peer, choices = present(local.peer), present(local.agreed).choices
    return Completed(
        peer.identity,
        peer.category,
        choices.handshake_cipher,
        choices.record_protocol,
        choices.application_protocol,
        choices.rpc_version,
        choices.max_frame_size,
        present(local.schedule).transcript_hash,
        present(local.agreed).mode,
    )


def _failed(failure: Failure) -> Failed:
    error = failure.refusal.error
    return Failed(error.code, error.name, failure.state, error.requirements, failure.alert_code)
