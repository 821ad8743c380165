"""A connection: bytes in, events and bytes out; the handshake first, then records (SPEC 2; HS-2, REC-2).

Sans-IO. An adapter feeds it what the socket gave, sends what `data_to_send` returns, and hands events on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import ErrorCode, FrameLimitError, PeerViolation, UsageError
from ._events import (
    ConnectionClosed,
    ConnectionFailed,
    Event,
    HandshakeCompleted,
    HandshakeResult,
    PayloadReceived,
)
from ._handshake import Handshake
from ._record import Opener, Sealer
from ._table import TABLE, Input, Role, State

if TYPE_CHECKING:
    from ._config import Configuration, Environment


class Connection:
    """One end of one ALTS connection.

    Args:
        role: CLIENT or SERVER.
        configuration: credential, trust and what is allowed.
        environment: clock and randomness.

    Attributes:
        state: of SPEC 2.1.
    """

    _final: State | None = None
    _result: HandshakeResult | None = None
    _sealer: Sealer | None = None
    _opener: Opener | None = None

    def __init__(self, role: Role, configuration: Configuration, environment: Environment) -> None:
        self._handshake = Handshake(role, configuration, environment)
        self._role = role
        self._outgoing: list[bytes | bytearray] = []

    @property
    def role(self) -> Role:
        """Role of this end."""
        return self._role

    @property
    def state(self) -> State:
        """State of SPEC 2.1."""
        return self._final or self._handshake.state

    @property
    def result(self) -> HandshakeResult | None:
        """Peer, parameters, evidence and M, once the handshake is complete and until the connection ends."""
        return self._result

    def start(self) -> None:
        """Queue ClientInit.

        Raises:
            UsageError: not a client in START.
        """
        if self._final is not None:
            raise UsageError(f"start() in state {self.state}")
        self._handshake.start()

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes from the peer, cut in any way, and return what they mean, in order.

        A violation by the peer is the last event, `ConnectionFailed`; nothing is raised for what a peer sends, and
        what came before it is not lost. In CLOSED and FAILED bytes are discarded (SPEC 2.4).
        """
        if self._final is not None:
            return []
        events: list[Event] = []
        if self._result is None:
            handshake = self._handshake
            handshake.receive_data(data)
            if handshake.error is not None:
                return [self._fail(handshake.error)]
            if handshake.result is None:
                return []
            self._result = result = handshake.result
            events.append(HandshakeCompleted(result.peer, result.local_identity, result.negotiated, result.evidence))
            data = handshake.take_trailing()
            if not data:
                return events
        self._open(data, events)
        return events

    def receive_end(self) -> list[Event]:
        """The peer ended its stream (SPEC 3.5): closed at a frame boundary in OPEN, a failure elsewhere."""
        if self._final is not None:
            return []
        if self._result is None:
            self._handshake.receive_end()
            assert self._handshake.error is not None  # there is no row for `end` before OPEN
            return [self._fail(self._handshake.error)]
        if self._opener is not None and not self._opener.at_boundary:
            return [self._fail(PeerViolation(ErrorCode.TRUNCATED, "the peer ended its stream inside a frame"))]
        self._finish(TABLE[self._role, State.OPEN, Input.END].next_state)
        return [ConnectionClosed()]

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Queue `data` as protected frames (REC-2).

        Raises:
            UsageError: not OPEN.
            FrameLimitError: the frame limit leaves no room (REC-4). Nothing of `data` is sent, and the connection is
                CLOSED (SPEC 8.4); what was queued before may still be sent.
        """
        if (self._role, self.state, Input.SEND) not in TABLE:
            raise UsageError(f"send() in state {self.state}")
        if self._sealer is None:
            result = self._open_result()
            self._sealer = Sealer(result.record_secret, self._role, result.negotiated.max_frame_size)
        try:
            self._outgoing.append(self._sealer.seal(data))
        except FrameLimitError:
            self.close()
            raise

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes for the peer."""
        handshake = self._handshake.data_to_send()
        if not self._outgoing:
            return handshake
        outgoing, self._outgoing = self._outgoing, []
        return b"".join((handshake, *outgoing))

    def expire(self) -> list[Event]:
        """The time for the handshake is over (SPEC 11.2); nothing happens if it is complete."""
        if self._final is not None or self._result is not None:
            return []
        self._handshake.expire()
        assert self._handshake.error is not None  # expire() fails every handshake that is not complete
        return [self._fail(self._handshake.error)]

    def close(self) -> None:
        """End the connection; what is queued may still be sent. Does nothing in CLOSED and FAILED."""
        if self._final is None:
            self._handshake.close()
            self._finish(State.CLOSED)

    def _open(self, data: bytes | bytearray | memoryview, events: list[Event]) -> None:
        """Open records; the keys are cut from M when the first one arrives."""
        if self._opener is None:
            result = self._open_result()
            self._opener = Opener(result.record_secret, self._role, result.negotiated.max_frame_size)
        try:
            for plaintext in self._opener.open(data):
                events.append(PayloadReceived(plaintext))
        except PeerViolation as violation:
            violation.state = State.OPEN
            events.append(self._fail(violation))

    def _open_result(self) -> HandshakeResult:
        assert self._result is not None  # OPEN and a result come together
        return self._result

    def _fail(self, violation: PeerViolation) -> ConnectionFailed:
        violation.state = violation.state or State.OPEN
        violation.__traceback__ = violation.__context__ = None  # its frames hold secrets
        self._finish(State.FAILED)
        return ConnectionFailed(violation)

    def _finish(self, state: State) -> None:
        """Enter a final state and drop the secrets (SPEC 2.4, 7.7)."""
        self._final = state
        self._result = self._handshake.result = self._sealer = self._opener = None
