"""What a connection to the enrolment port has brought: bytes, HTTP/2 frames, requests (SPEC 13.1.6).

HTTP/2 makes work out of very little: a stream is opened and reset in some 30 bytes, and each costs a task and a handful
of objects. So frames are counted before anything else looks at them.
"""

from __future__ import annotations

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How every client's part of a connection begins (RFC 9113, section 3.4)."""
CONNECTION_BYTES = 1 << 12
"""What one connection may bring; the longest request, and what HTTP/2 adds to it, is half of it at most."""
MOST_STREAMS = 4
"""Requests on one connection, whole or not; a machine makes one, and repeats it on a connection of its own."""
MOST_FRAMES = 64
"""Frames of one connection; a machine sends less than ten."""
_HEADER = 9
_HEADERS = 1


class Meter:
    """Counts what arrives, wherever the network has cut it into pieces. It keeps at most 9 bytes."""

    def __init__(self) -> None:
        self._within = True
        self._bytes = 0
        self._frames = 0
        self._streams = 0
        self._header = bytearray()
        self._payload = 0

    @property
    def begun(self) -> bool:
        """Whether the whole preface is there."""
        return self._bytes >= len(PREFACE)

    def admits(self, data: bytes) -> bool:
        """Count the next piece; False, for good, if it is no HTTP/2 or too much: nobody may look at any of it then."""
        self._within = self._within and self._count(data)
        return self._within

    def _count(self, data: bytes) -> bool:
        at, self._bytes = self._bytes, self._bytes + len(data)
        if self._bytes > CONNECTION_BYTES:
            return False
        preface, rest = data[: max(0, len(PREFACE) - at)], data[max(0, len(PREFACE) - at) :]
        if PREFACE[at : at + len(preface)] != preface:
            return False
        while rest:
            if self._payload:
                skipped = min(self._payload, len(rest))
                self._payload -= skipped
                rest = rest[skipped:]
                continue
            wanted = _HEADER - len(self._header)
            self._header += rest[:wanted]
            rest = rest[wanted:]
            if len(self._header) == _HEADER:
                self._payload = int.from_bytes(self._header[:3], "big")
                self._frames += 1
                self._streams += self._header[3] == _HEADERS
                self._header.clear()
        return self._frames <= MOST_FRAMES and self._streams <= MOST_STREAMS
