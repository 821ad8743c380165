"""One ALTS connection below an asyncio application protocol: bytes of the lower transport in and out, events up.

A `Link` is the protocol of the lower (TCP) transport and drives a sans-IO `Connection`. Once the peer is authenticated
it makes the application's protocol and hands it an `AltsTransport`; the application cannot tell it from a TCP one.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from .._config import Configuration
from .._connection import Connection
from .._errors import FrameLimitError
from .._events import ConnectionClosed, ConnectionFailed, HandshakeCompleted, PayloadReceived
from .._record import OVERHEAD
from .._table import Role, State
from ._transport import AltsTransport

if TYPE_CHECKING:
    from .._config import Environment
    from .._events import Event

logger = logging.getLogger("alts.aio")

ConfigurationSource = Configuration | Callable[[], Configuration]
"""A configuration, or what returns the present one; asked at the beginning of each handshake, so that credentials and
keys are exchanged without a word to the connections that live (CRED-6, ISSUE-8)."""

LINGER_SECONDS = 1.0
"""How long a failed handshake waits for the peer to read the alert and close. Closing at once, with bytes of the peer
unread, would reset the connection, and the alert could be lost."""
LINGER_BYTES = 1 << 20
"""How many bytes of the peer are thrown away in that time; more resets the connection."""
WRITE_CHUNK = 1 << 20
"""About how many bytes are protected at a time."""
_DISCARDED_WRITES_LOGGED = 5


class Phase(enum.Enum):
    """Where a link is. It only moves forward."""

    HANDSHAKE = enum.auto()
    OPEN = enum.auto()
    """The application has its protocol and transport."""
    CLOSING = enum.auto()
    """The lower transport was told to close, or a failed handshake lingers."""
    CLOSED = enum.auto()
    """The lower transport is gone."""


class Owner(Protocol):
    """Who made the link and wants to know what becomes of it: a client's waiter or a server."""

    def admit(self, link: Link) -> bool:
        """Tell whether the handshake may begin."""

    def completed(self, link: Link) -> None:
        """The peer is authenticated and the application's `connection_made` has returned."""

    def failed(self, link: Link, error: Exception) -> None:
        """There is no connection: a PeerViolation, an OSError, or what a hook or the application raised."""

    def gone(self, link: Link) -> None:
        """The lower transport is gone; comes last, and always."""


class Link(asyncio.Protocol):
    """The lower transport's protocol.

    Args:
        role: of this end.
        protocol_factory: makes the application's protocol, once the peer is authenticated.
        configuration: of the handshake, or what returns it once the connection is admitted.
        environment: clock and randomness.
        handshake_timeout: seconds from the TCP connection to the end of the handshake (SPEC 11.2).
        owner: told about admission, completion, failure and end.
    """

    def __init__(
        self,
        role: Role,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        configuration: ConfigurationSource,
        environment: Environment,
        handshake_timeout: float,
        owner: Owner,
    ) -> None:
        self.phase = Phase.HANDSHAKE
        self.lower: asyncio.Transport | None = None
        self.transport: AltsTransport | None = None
        self.app: asyncio.BaseProtocol | None = None
        self.reading_paused = False
        self.extra: dict[str, Any] = {}
        self._loop = asyncio.get_running_loop()
        self._role = role
        self._source = configuration
        self._environment = environment
        self._begun: Connection | None = None
        self._protocol_factory = protocol_factory
        self._handshake_timeout = handshake_timeout
        self._owner = owner
        self._timer: asyncio.TimerHandle | None = None
        self._error: Exception | None = None
        self._payload: list[bytes | memoryview] = []
        self._ending: ConnectionClosed | ConnectionFailed | None = None
        self._writing_paused = self._app_paused = False
        self._write_chunk = WRITE_CHUNK
        self._lingered = 0
        self.heard = False
        """True once the peer has sent something."""
        self._discarded_writes = 0

    # -- called by the lower transport ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection stands: begin the handshake, or refuse it."""
        self.lower = cast(asyncio.Transport, transport)
        if not self._owner.admit(self):
            self._end(abort=True)
            return
        try:
            self._begun = Connection(self._role, current(self._source), self._environment)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # of whoever provides the configuration
            self._fail(_as_exception(error), b"")
            return
        self._timer = self._loop.call_later(self._handshake_timeout, self._expire)
        if self._role is Role.CLIENT:
            self._step(self._start)

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""
        self.heard = True
        if self.phase in (Phase.HANDSHAKE, Phase.OPEN):
            self._step(lambda: self._connection.receive_data(data))
        elif self.phase is Phase.CLOSING and self.lower is not None:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.lower.abort()

    def eof_received(self) -> bool:
        """End of the peer's stream; the lower transport stays open only while payload before it is undelivered."""
        if self.phase in (Phase.HANDSHAKE, Phase.OPEN):
            self._step(self._connection.receive_end)
        return self.phase is Phase.OPEN

    def connection_lost(self, exc: Exception | None) -> None:
        """The lower transport is gone, for whatever reason."""
        before, self.phase = self.phase, Phase.CLOSED
        self._stop_timer()
        if self._begun is not None:
            self._begun.close()
        self._payload.clear()
        error = self._error or exc
        if self.transport is not None and self.app is not None:
            app, self.app = self.app, None
            self._guard(app.connection_lost, error)
        elif before is Phase.HANDSHAKE:
            self._owner.failed(self, error or ConnectionAbortedError("the connection was closed in the handshake"))
        self._owner.gone(self)

    def pause_writing(self) -> None:
        """The lower transport's buffer is full: so is the application's."""
        self._writing_paused = True
        self._tell_writing()

    def resume_writing(self) -> None:
        """The lower transport's buffer has room again.

        The application hears it a turn later: asyncio's socket transport calls connection_lost twice if it is closed
        from inside this call.
        """
        self._writing_paused = False
        self._loop.call_soon(self._tell_writing)

    def _tell_writing(self) -> None:
        """Tell the application whether to write, if that has changed since it was last told."""
        if self.app is None or self.phase is Phase.CLOSED or self._app_paused is self._writing_paused:
            return
        self._app_paused = self._writing_paused
        self._guard(self.app.pause_writing if self._app_paused else self.app.resume_writing)

    # -- called by the application's transport ----------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """True once nothing more can be written."""
        return self.phase is not Phase.OPEN or self._connection.state is not State.OPEN or self._lower.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Protect and send; discards, as asyncio's transports do, when the connection is closing."""
        view = memoryview(data).cast("B")
        while len(view) and not self.closing:
            chunk, view = view[: self._write_chunk], view[self._write_chunk :]
            try:
                self._connection.send(chunk)
            except FrameLimitError as error:  # the connection is CLOSED now (SPEC 8.4)
                self._error = error
                self._end(abort=False)
                return
            self._lower.write(self._connection.data_to_send())
        if len(view):
            self._discarded_writes += 1
            if self._discarded_writes == _DISCARDED_WRITES_LOGGED:
                logger.warning("writes to a closed ALTS connection are discarded")

    def set_reading(self, paused: bool) -> None:
        """Stop or restart delivery, and the lower transport's reading with it."""
        if self.phase is not Phase.OPEN or paused is self.reading_paused:
            return
        self.reading_paused = paused
        if paused:
            self._lower.pause_reading()
        else:
            self._loop.call_soon(self._deliver)  # never from inside the application's own call

    def close(self) -> None:
        """Close once everything written is sent; nothing more is delivered."""
        if self.phase is Phase.OPEN:
            self._end(abort=False)

    def abort(self, error: Exception | None = None) -> None:
        """Close at once, dropping what is not sent; `error` is what the application's `connection_lost` gets."""
        if self.phase is not Phase.CLOSED:
            self._error = self._error or error
            self._end(abort=True)

    # -- the handshake ----------------------------------------------------------------------------------------------

    def _start(self) -> list[Event]:
        self._connection.start()
        return []

    def _expire(self) -> None:
        if self.phase is Phase.HANDSHAKE:
            self._step(self._connection.expire)

    def _open(self, event: HandshakeCompleted) -> None:
        """The peer is authenticated: from here on there is an application."""
        self._stop_timer()
        self.extra = {
            "alts_peer": event.peer,
            "alts_local_identity": event.local_identity,
            "alts_negotiated": event.negotiated,
            "alts_evidence": event.evidence,
        }
        frame = event.negotiated.max_frame_size
        self._write_chunk = max(1, WRITE_CHUNK // frame) * (frame - OVERHEAD)  # whole frames
        try:
            self.app = app = self._protocol_factory()
            self.transport = transport = AltsTransport(self)
            self.phase = Phase.OPEN
            app.connection_made(transport)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._refuse(error)
        else:
            self._owner.completed(self)
            self._tell_writing()

    def _refuse(self, error: BaseException) -> None:
        """A hook, or the application on being connected, raised: there will be no connection."""
        raised = _as_exception(error)
        alert = self._connection.data_to_send()  # of a hook's failure; none once the handshake is complete
        self._connection.close()
        self._fail(raised, alert)

    def _fail(self, error: Exception, alert: bytes) -> None:
        """Let the alert, if there is one, reach the peer; then close."""
        self._stop_timer()
        self.phase = Phase.CLOSING
        self._error = error
        lower = self._lower
        if not alert:
            lower.abort()
        elif not lower.can_write_eof():
            lower.write(alert)
            lower.close()
        else:
            lower.write(alert)
            self._timer = self._loop.call_later(LINGER_SECONDS, lower.abort)
            with contextlib.suppress(OSError):  # the peer may have reset the connection already
                lower.write_eof()
        self._owner.failed(self, error)

    # -- events -----------------------------------------------------------------------------------------------------

    def _step(self, advance: Callable[[], list[Event]]) -> None:
        """Let the connection take one input, send what it says, then tell the application what it means."""
        try:
            events = advance()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # a hook of the configuration or the environment
            self._refuse(error)
            return
        outgoing = self._connection.data_to_send()
        if events and isinstance(failed := events[0], ConnectionFailed) and self.phase is Phase.HANDSHAKE:
            self._fail(failed.error, outgoing)
            return
        if outgoing:
            self._lower.write(outgoing)
        for event in events:
            self._take(event)
        self._deliver()

    def _take(self, event: Event) -> None:
        match event:
            case HandshakeCompleted():
                self._open(event)
            case PayloadReceived():
                self._payload.append(event.data)
            case ConnectionClosed() | ConnectionFailed():
                self._ending = event

    def _deliver(self) -> None:
        """Hand payload, then the end, to the application, as long as it reads."""
        while self._payload and self.phase is Phase.OPEN and not self.reading_paused:
            app = self.app
            if isinstance(app, asyncio.BufferedProtocol):
                self._guard(self._fill, app)
            else:
                self._guard(cast(asyncio.Protocol, app).data_received, self._take_payload())
        if self.phase is not Phase.OPEN or self.reading_paused:
            return
        if isinstance(self._ending, ConnectionFailed):
            self._error = self._ending.error
            self._end(abort=True)  # in OPEN a violation is answered with nothing (SPEC 2.3)
        elif self._ending is not None:
            if self._guard(cast(asyncio.Protocol, self.app).eof_received):
                self._end(abort=False)
        elif not self._lower.is_reading():
            self._lower.resume_reading()

    def _take_payload(self) -> bytes:
        """Join what waits: one copy, or none for a single frame that is bytes already."""
        payload, self._payload = self._payload, []
        if len(payload) == 1:
            return bytes(payload[0])
        return b"".join(payload)

    def _fill(self, app: asyncio.BufferedProtocol) -> None:
        """Copy the first waiting frame, or as much of it as fits, into the application's own buffer."""
        rest = memoryview(self._payload[0])
        buffer = memoryview(cast(bytearray, app.get_buffer(len(rest)))).cast("B")
        size = min(len(buffer), len(rest))
        if not size:
            raise RuntimeError("get_buffer() returned an empty buffer")
        buffer[:size] = rest[:size]
        buffer.release()
        if size == len(rest):
            del self._payload[0]
        else:
            self._payload[0] = rest[size:]
        app.buffer_updated(size)

    # -- ends -------------------------------------------------------------------------------------------------------

    @property
    def _connection(self) -> Connection:
        assert self._begun is not None  # nothing comes in before connection_made
        return self._begun

    @property
    def _lower(self) -> asyncio.Transport:
        assert self.lower is not None  # connection_made comes first
        return self.lower

    def _guard(self, call: Callable[..., object], *args: object) -> bool:
        """Call the application. What it raises ends the connection and is reported; it never hangs it."""
        try:
            call(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._break(error)
            return False
        return True

    def _break(self, error: BaseException) -> None:
        """The application, or a hook, raised in an open connection."""
        context = {"message": "ALTS connection aborted: its application or a hook raised", "exception": error}
        self._loop.call_exception_handler({**context, "transport": self.transport, "protocol": self.app})
        self.abort(_as_exception(error))

    def _end(self, *, abort: bool) -> None:
        """Drop the secrets and close the lower transport; `connection_lost` follows."""
        self.phase = Phase.CLOSING
        self._stop_timer()
        self._payload.clear()
        if self._begun is not None:  # not where the connection was refused at once
            self._begun.close()
        if abort:
            self._lower.abort()
        else:
            self._lower.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def current(source: ConfigurationSource) -> Configuration:
    """Return the configuration for a handshake that begins now; raises what its provider raises."""
    return source if isinstance(source, Configuration) else source()


def _as_exception(error: BaseException) -> Exception:
    """Return `error`, or, for what is no Exception (a CancelledError that a protocol let out), one that names it."""
    if isinstance(error, Exception):
        return error
    wrapped = RuntimeError(f"{type(error).__name__} was raised")
    wrapped.__cause__ = error
    return wrapped
