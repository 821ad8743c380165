"""What a relay can do to frames: rules that pick frames, and operations that turn a frame into steps.

A rule fires once unless ``every`` is set. Operations are pure: they look at one frame and say what the relay shall
write and in which order, so each can be tested without a socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ._frames import HEADER_SIZE, Frame

Direction = Literal["c2s", "s2c"]
End = Literal["fin", "rst"]
CLIENT_TO_SERVER: Direction = "c2s"
SERVER_TO_CLIENT: Direction = "s2c"


def opposite(direction: Direction) -> Direction:
    """The other direction."""
    return SERVER_TO_CLIENT if direction == CLIENT_TO_SERVER else CLIENT_TO_SERVER


@dataclass(frozen=True, slots=True)
class Send:
    """Write bytes onwards; ``segment`` > 0 cuts them into writes of that many bytes."""

    data: bytes
    segment: int = 0


@dataclass(frozen=True, slots=True)
class SendBack:
    """Write bytes to the end they came from."""

    data: bytes


@dataclass(frozen=True, slots=True)
class KeepForNext:
    """Keep bytes until the next frame: in front of it in one write (``before``), or behind it."""

    data: bytes
    before: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Let nothing pass in this direction until the gate opens."""

    gate: asyncio.Event


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection towards the receiver, towards the sender, or both."""

    how: End = "fin"
    side: Literal["onward", "back", "both"] = "both"


Step = Send | SendBack | KeepForNext | Wait | Close


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame with its position: ``index`` in its direction, ``nth`` among those of its type."""

    frame: Frame
    direction: Direction
    index: int
    nth: int


class Operation(Protocol):
    """Turn one frame into steps."""

    def __call__(self, seen: Seen) -> Sequence[Step]:
        """The steps that replace the forwarding of this frame."""


Selector = Callable[[Seen], bool]


def nth_frame(index: int) -> Selector:
    """The frame with this index (from 0) in its direction."""
    return lambda seen: seen.index == index


def of_type(frame_type: int, nth: int = 0) -> Selector:
    """The nth frame (from 0) of a type in its direction."""
    return lambda seen: seen.frame.type == frame_type and seen.nth == nth


def any_of_type(frame_type: int) -> Selector:
    """Every frame of a type."""
    return lambda seen: seen.frame.type == frame_type


@dataclass(slots=True)
class Rule:
    """In ``direction``, do ``operation`` to the frames that ``selector`` picks; ``fired`` counts them."""

    direction: Direction
    selector: Selector
    operation: Operation
    every: bool = False
    name: str = ""
    fired: int = field(default=0, init=False)
    done: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def matches(self, seen: Seen) -> bool:
        """Whether the rule applies to this frame now."""
        return seen.direction == self.direction and (self.every or not self.fired) and self.selector(seen)


def forward(seen: Seen) -> Sequence[Step]:
    """Pass the frame on unchanged."""
    return [Send(seen.frame.raw)]


def drop(seen: Seen) -> Sequence[Step]:
    """Swallow the frame."""
    return []


def duplicate(times: int = 1) -> Operation:
    """Send the frame and ``times`` copies of it."""
    return lambda seen: [Send(seen.frame.raw)] * (times + 1)


def hold(gate: asyncio.Event) -> Operation:
    """Keep this frame, and all behind it, until the gate opens."""

    def steps(seen: Seen) -> Sequence[Step]:
        return [Wait(gate), Send(seen.frame.raw)]

    return steps


def swap_with_next(seen: Seen) -> Sequence[Step]:
    """Send the next frame first."""
    return [KeepForNext(seen.frame.raw, before=False)]


def coalesce_with_next(seen: Seen) -> Sequence[Step]:
    """Send this frame and the next in one write."""
    return [KeepForNext(seen.frame.raw, before=True)]


def split(size: int) -> Operation:
    """Send the frame in writes of ``size`` bytes."""
    return lambda seen: [Send(seen.frame.raw, segment=size)]


def inject(*, before: bytes = b"", after: bytes = b"") -> Operation:
    """Put bytes in front of the frame or behind it (in one write with it)."""
    return lambda seen: [Send(before + seen.frame.raw + after)]


def reflect(*, also_forward: bool = False) -> Operation:
    """Send the frame back to where it came from."""

    def steps(seen: Seen) -> Sequence[Step]:
        return [SendBack(seen.frame.raw), *([Send(seen.frame.raw)] if also_forward else [])]

    return steps


def truncate_and_close(keep: int, how: End = "fin") -> Operation:
    """Pass the first ``keep`` bytes of the frame (negative: all but that many) and close towards the receiver."""

    def steps(seen: Seen) -> Sequence[Step]:
        return [Send(seen.frame.raw[:keep]), Close(how, "onward")]

    return steps


def close_after(how: End = "fin", side: Literal["onward", "back", "both"] = "onward") -> Operation:
    """Pass the frame, then close."""

    def steps(seen: Seen) -> Sequence[Step]:
        return [Send(seen.frame.raw), Close(how, side)]

    return steps


def rewrite(change: Callable[[bytes], bytes]) -> Operation:
    """Send what ``change`` makes of the frame's bytes."""
    return lambda seen: [Send(change(seen.frame.raw))]


#: Where each named field of a data frame lies in the frame's bytes (the tag is the last 16 bytes).
FIELDS: dict[str, Callable[[int], tuple[int, int]]] = {
    "length": lambda size: (0, 4),
    "type": lambda size: (4, 8),
    "payload": lambda size: (HEADER_SIZE, size),
    "ciphertext": lambda size: (HEADER_SIZE, size - 16),
    "tag": lambda size: (size - 16, size),
}


def flip_bit_of(raw: bytes, bit: int, field_name: str = "payload") -> bytes:
    """Flip bit number ``bit`` (modulo the field's size) of a named field of a frame.

    Raises:
        KeyError: no such field.
        ValueError: the field is empty in this frame.
    """
    start, stop = FIELDS[field_name](len(raw))
    if stop <= start or start < 0:
        raise ValueError(f"the frame has no {field_name}")
    at = bit % (8 * (stop - start))
    changed = bytearray(raw)
    changed[start + at // 8] ^= 1 << (at % 8)
    return bytes(changed)


def flip(field_name: str, bit: int) -> Operation:
    """Flip one bit of a field; see :func:`flip_bit_of`."""
    return rewrite(lambda raw: flip_bit_of(raw, bit, field_name))
