"""The transport that an application protocol gets: asyncio's interface, ALTS beneath (TRUST-6)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._link import Link


class AltsTransport(asyncio.Transport):
    """What an application writes to; reading, buffering and flow control are the lower transport's.

    Buffer sizes and limits count protected bytes. There is no half-close: ALTS has no message for it (SPEC 3.5).
    `get_extra_info` knows, besides the lower transport's names (``socket``, ``peername``, ``sockname``…):
    ``alts_peer`` (`alts.Peer`), ``alts_local_identity`` (str), ``alts_negotiated`` (`alts.Negotiated`) and
    ``alts_evidence`` (`alts.Evidence`) (TRUST-5).
    """

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        assert link.lower is not None  # there is a peer
        self._lower = link.lower

    def __repr__(self) -> str:
        identity = self._link.extra["alts_peer"].identity
        return f"<AltsTransport {self._link.phase.name} peer={identity!r} over {self._lower!r}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about the connection; see the class."""
        if name in self._link.extra:
            return self._link.extra[name]
        return self._lower.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Put another protocol in place of the present one."""
        if self._link.app is not None:
            self._link.app = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the application's protocol.

        Raises:
            RuntimeError: its connection_lost has been called.
        """
        if self._link.app is None:
            raise RuntimeError("the connection is closed")
        return self._link.app

    def is_closing(self) -> bool:
        """True once nothing more can be written: closed here, by the peer, or by a violation."""
        return self._link.closing

    def close(self) -> None:
        """Close once everything written is sent; connection_lost(None) follows."""
        self._link.close()

    def abort(self) -> None:
        """Close at once; connection_lost(None) follows."""
        self._link.abort()

    def is_reading(self) -> bool:
        """True unless reading is paused or the connection is closing."""
        return not self._link.reading_paused and not self._link.closing

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`; the peer is slowed down by TCP."""
        self._link.set_reading(paused=True)

    def resume_reading(self) -> None:
        """Deliver again."""
        self._link.set_reading(paused=False)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Protect and send `data`; never blocks. Discarded when the connection is closing.

        Raises:
            TypeError: not bytes-like.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, bytearray or memoryview, not {type(data).__name__}")
        self._link.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Protect and send the joined data."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """False: see the class."""
        return False

    def write_eof(self) -> None:
        """Not supported.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("ALTS has no half-close")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when pause_writing and resume_writing are called, in protected bytes."""
        self._lower.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many protected bytes wait to be sent."""
        return self._lower.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return (low, high), in protected bytes."""
        return self._lower.get_write_buffer_limits()
