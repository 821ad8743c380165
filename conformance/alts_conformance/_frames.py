"""ALTS frames as the relay sees them: u32le length (of type and payload) | u32le type | payload (REC-2).

The splitter is deliberately independent of the implementation under test. It never refuses anything: bytes that
cannot be frames (plain HTTP/2, garbage, an absurd length) come out as opaque chunks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: Type of a data frame (record protocol).
DATA = 6
#: Bytes of the two header words.
HEADER_SIZE = 8
#: A longer frame than this is taken for something that is no frame. Generous: the limit of REC-3 is for peers to
#: enforce.
LARGEST_FRAME = (1 << 20) + (1 << 12)


def make_frame(frame_type: int, payload: bytes) -> bytes:
    """The bytes of a frame: 8 bytes of header and the payload."""
    return struct.pack("<II", 4 + len(payload), frame_type) + payload


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame with its header, or an opaque chunk (``opaque``) of bytes that are no frames."""

    raw: bytes
    opaque: bool = False

    @property
    def length(self) -> int:
        """The length word as sent, 0 for an opaque chunk."""
        return 0 if self.opaque else int.from_bytes(self.raw[:4], "little")

    @property
    def type(self) -> int:
        """The type word as sent, -1 for an opaque chunk."""
        return -1 if self.opaque else int.from_bytes(self.raw[4:8], "little")

    @property
    def payload(self) -> bytes:
        """What follows the header."""
        return self.raw if self.opaque else self.raw[HEADER_SIZE:]


class FrameSplitter:
    """Cut a byte stream into frames; once a header makes no sense, everything after it is opaque."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opaque = False

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not complete yet."""
        return bytes(self._buffer)

    @property
    def opaque(self) -> bool:
        """Whether the stream has turned out not to be made of frames."""
        return self._opaque

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, give the frames that they complete."""
        if self._opaque:
            return [Frame(data, opaque=True)] if data else []
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        at = 0
        while len(buffer) - at >= 4:
            length = int.from_bytes(buffer[at : at + 4], "little")
            if not 4 <= length <= LARGEST_FRAME:
                self._opaque = True
                frames.append(Frame(bytes(buffer[at:]), opaque=True))
                at = len(buffer)
                break
            if len(buffer) - at < 4 + length:
                break
            frames.append(Frame(bytes(buffer[at : at + 4 + length])))
            at += 4 + length
        del buffer[:at]
        return frames

    def flush(self) -> bytes:
        """Give up the rest (the stream has ended) and return it."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
