"""The record of one link: what came in, what went out, who ended it, in one ordered list of events.

Events are the evidence that cases judge. A link that carries key material (handshaker service) is recorded without
its bytes, so that a transcript never holds a secret.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ._frames import DATA, Frame
from ._manipulate import Direction
from ._verdict import Reaction

Kind = Literal["open", "frame", "opaque", "rest", "sent", "fin", "rst", "closed", "rule", "note"]

#: At most this many bytes of one frame are written to a transcript; the size is always there.
TRANSCRIPT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. ``frame``/``opaque``/``rest`` came in from the sender of ``direction``, ``sent`` is what
    the relay wrote in place of a frame; a frame without one went on as it came.
    """

    at: float
    kind: Kind
    direction: Direction
    data: bytes = b""
    note: str = ""
    size: int = 0

    def as_json(self, *, with_bytes: bool) -> dict[str, Any]:
        """The transcript line of this event."""
        line: dict[str, Any] = {"at": round(self.at, 6), "kind": self.kind, "direction": self.direction}
        if self.kind == "frame" and self.data:
            frame = Frame(self.data)
            line |= {"length": frame.length, "type": frame.type}
        if self.size:
            line["size"] = self.size
            if with_bytes:
                line["hex"] = self.data[:TRANSCRIPT_BYTES].hex()
                if len(self.data) > TRANSCRIPT_BYTES:
                    line["cut"] = True
        if self.note:
            line["note"] = self.note
        return line


@dataclass(slots=True)
class Recording:
    """Everything that was seen on one connection through a relay.

    ``secret`` links are recorded without their bytes. Beyond ``budget`` bytes data frames are only counted, and of
    everything else that comes in at most a transcript's worth is kept: it is judged all the same, by ``counts``.
    """

    name: str
    secret: bool = False
    budget: int = 4 << 20
    events: list[Event] = field(default_factory=list)
    counts: dict[tuple[Direction, int], int] = field(default_factory=dict)
    _marks: dict[int, dict[tuple[Direction, int], int]] = field(default_factory=dict)
    _waiters: list[asyncio.Future[None]] = field(default_factory=list)
    _start: float | None = None
    _kept: int = 0

    def add(self, kind: Kind, direction: Direction, data: bytes = b"", note: str = "") -> None:
        """Record an event now and wake whoever waits."""
        now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = now
        if kind == "rule":
            self.mark()
        frame_type = int.from_bytes(data[4:8], "little") if kind == "frame" else -1
        if kind == "frame":
            key = (direction, frame_type)
            self.counts[key] = self.counts.get(key, 0) + 1
        if frame_type != DATA or self._kept <= self.budget:
            self._keep(Event(now - self._start, kind, direction, data, note, len(data)))
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _keep(self, event: Event) -> None:
        over = self._kept > self.budget
        kept = b"" if self.secret else event.data[:TRANSCRIPT_BYTES] if over else event.data
        self.events.append(replace(event, data=kept))
        self._kept += event.size
        if event.size and self._kept > self.budget and not over:
            note = "from here on data frames are only counted, and the rest is cut"
            self.events.append(Event(event.at, "note", event.direction, note=note))

    def mark(self) -> int:
        """Where the record stands now, for :func:`reaction_in` and :meth:`since`: the number of the next event."""
        self._marks[len(self.events)] = dict(self.counts)
        return len(self.events)

    def since(self, mark: int, direction: Direction, frame_type: int) -> int:
        """How many frames of a type arrived from the sender of this direction behind a mark, kept or only counted."""
        key = (direction, frame_type)
        if mark in self._marks:
            before = self._marks[mark].get(key, 0)
        else:
            earlier = (e for e in self.events[:mark] if e.kind == "frame" and e.direction == direction)
            before = sum(Frame(event.data).type == frame_type for event in earlier)
        return self.counts.get(key, 0) - before

    def types(self, direction: Direction) -> set[int]:
        """The types of all frames that arrived from the sender of this direction, kept or only counted."""
        return {kind for way, kind in self.counts if way == direction}

    async def wait_for(self, condition: Callable[[Recording], bool], seconds: float) -> bool:
        """Wait until the condition holds; False when it does not within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                while not condition(self):
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiters.append(waiter)
                    await waiter
        except TimeoutError:
            return condition(self)
        return True

    def frames(self, direction: Direction) -> list[Frame]:
        """Frames that arrived from the sender of this direction, in order."""
        return [Frame(event.data) for event in self._of(direction, "frame")]

    def data_frames(self, direction: Direction) -> int:
        """How many data frames arrived from the sender of this direction."""
        return self.counts.get((direction, DATA), 0)

    def altered(self, direction: Direction) -> bytes:
        """All bytes that the relay wrote in this direction in place of frames as they came."""
        return b"".join(event.data for event in self._of(direction, "sent"))

    def received(self, direction: Direction) -> bytes:
        """All bytes that the sender of this direction wrote."""
        kinds = ("frame", "opaque", "rest")
        return b"".join(e.data for e in self.events if e.direction == direction and e.kind in kinds)

    def ended(self, direction: Direction) -> Literal["fin", "rst"] | None:
        """How the sender of this direction ended the connection, or None if it did not."""
        for event in self.events:
            if event.direction == direction and event.kind == "rst":
                return "rst"
            if event.direction == direction and event.kind == "fin":
                return "fin"
        return None

    def _of(self, direction: Direction, kind: Kind) -> Iterator[Event]:
        return (event for event in self.events if event.direction == direction and event.kind == kind)

    def write(self, path: Path, since: int = 0) -> None:
        """Write the transcript: a line for the link, then one JSON line an event, from event number ``since`` on.

        Raises:
            OSError: the file cannot be written.
        """
        with path.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"link": self.name, "bytes": "withheld" if self.secret else "hex"}) + "\n")
            for event in self.events[since:]:
                out.write(json.dumps(event.as_json(with_bytes=not self.secret)) + "\n")
            if self._kept > self.budget:
                counts = {f"{direction} type {kind}": count for (direction, kind), count in self.counts.items()}
                out.write(json.dumps({"link": self.name, "frames": counts}) + "\n")


def reaction_in(recording: Recording, direction: Direction, *, since: int, alert_type: int) -> Reaction:
    """How the sender of ``direction`` reacted after event number ``since``: ended (and how), kept talking, or
    kept silent.
    """
    later = [event for event in recording.events[since:] if event.direction == direction]
    alerted = recording.since(since, direction, alert_type) > 0
    for event in later:
        if event.kind in ("fin", "rst"):
            if alerted:
                return Reaction.ALERT
            return Reaction.CLOSED if event.kind == "fin" else Reaction.RESET
    if recording.since(since, direction, DATA):
        return Reaction.CONTINUED
    return Reaction.SILENT
