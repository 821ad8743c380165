"""The attacker: the network is its own, and of keys it has what it is given by name, and nothing else.

An `Attacker` holds a dictionary of stolen secrets, one of its own, and the frames that it saw. `turn_loose` is the only
way in which attacker code runs: a plain function of a module, which is given an `Attacker` and plain values.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import alts
from alts import aio

from .._frames import Frame, FrameSplitter, make_frame
from .._verdict import HarnessError
from ._story import ATTACKER, Story

PATIENCE = 15.0
"""Seconds that anybody waits for the next bytes."""
_T = TypeVar("_T")


class HangError(Exception):
    """Somebody waited for too long."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame on the wire, from whom to whom, in which connection (they are numbered)."""

    source: str
    target: str
    frame: Frame
    connection: int


Rewrite = Callable[[Seen], bytes]
"""What an attacker on the path makes of a frame: the bytes that go on."""


class Line:
    """A TCP connection that the attacker has opened."""

    def __init__(
        self, story: Story, whom: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: str
    ) -> None:
        self.whom = whom
        self._story, self._reader, self._writer, self._note = story, reader, writer, note
        self._splitter, self._frames = FrameSplitter(), list[Frame]()

    async def send(self, frame_type: int, payload: bytes) -> None:
        """Send a frame; that the peer has gone is no error here."""
        await self.send_raw(make_frame(frame_type, payload))

    async def send_raw(self, data: bytes) -> None:
        """Send whole frames as they are."""
        for frame in FrameSplitter().feed(data):
            self._story.frame(ATTACKER, self.whom, frame, self._note)
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def frame(self) -> Frame | None:
        """The next frame; None when the peer has ended the connection.

        Raises:
            HangError: neither came in time.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._frames:
                    data = await self._reader.read(1 << 16)
                    if not data:
                        self._story.step(self.whom, ATTACKER, "ends the connection")
                        return None
                    self._frames += self._splitter.feed(data)
        except TimeoutError:
            raise HangError(f"{self.whom} neither answered nor ended the connection") from None
        except ConnectionError:
            self._story.step(self.whom, ATTACKER, "ends the connection")
            return None
        frame = self._frames.pop(0)
        self._story.frame(self.whom, ATTACKER, frame)
        return frame

    async def close(self) -> None:
        """End it."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Tap:
    """A place on the path between a client and a server: whoever connects to `port` is passed on to `target`."""

    def __init__(self, attacker: Attacker, client: str, server: str, target: int, rewrite: Rewrite | None) -> None:
        self.target, self.rewrite = target, rewrite
        self.port = 0
        self._attacker, self._client, self._server = attacker, client, server
        self._tasks = set[asyncio.Task[None]]()
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._listener.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # a callback of a server runs in one
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        except Exception as error:
            self._attacker.faults.append(error.exceptions[0] if isinstance(error, ExceptionGroup) else error)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self._attacker.next_connection()
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, onward_writer, self._client, self._server, number))
                group.create_task(self._pump(onward_reader, writer, self._server, self._client, number))
        except* OSError:
            pass
        finally:
            onward_writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: str, target: str, number: int
    ) -> None:
        splitter, story = FrameSplitter(), self._attacker.story
        while data := await reader.read(1 << 16):
            for frame in splitter.feed(data):
                seen = Seen(source, target, frame, number)
                self._attacker.seen.append(seen)
                changed = frame.raw if self.rewrite is None else self.rewrite(seen)
                if changed == frame.raw:
                    story.frame(source, target, frame, "" if ATTACKER in (source, target) else "seen by the attacker")
                else:
                    story.frame(source, ATTACKER, frame, "kept back")
                    for other in FrameSplitter().feed(changed):
                        story.frame(ATTACKER, target, other, "changed")
                writer.write(changed)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def close(self) -> None:
        """Stop listening and drop what runs."""
        if self._listener is not None:
            self._listener.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Attacker:
    """See the module. Everything it holds is in its attributes.

    Attributes:
        stolen: secrets by name.
        own: secrets that are rightly its own, by name.
        seen: frames on taps, in order.
        did: what it did, in words.
        heard: payload that it has read as somebody's peer.
        faults: what its own code raised beside the main path: then a trial has shown nothing.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        self.stolen: dict[str, bytes] = {}
        self.own: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.did: list[str] = []
        self.heard: list[bytes] = []
        self.faults: list[Exception] = []
        self._connections = 0
        self._open: list[Line | Tap] = []
        self._listeners: list[asyncio.Server] = []

    def next_connection(self) -> int:
        """Number a connection."""
        self._connections += 1
        return self._connections

    def does(self, text: str) -> None:
        """Tell what it does."""
        self.did.append(text)
        self.story.say(f"the attacker {text}")
        self.story.step(ATTACKER, ATTACKER, text)

    def payloads(self, frame_type: int, connection: int | None = None) -> list[bytes]:
        """Payloads of the frames of a type that it saw, in order; of one connection, or of all."""
        fitting = [seen for seen in self.seen if connection in (None, seen.connection)]
        return [seen.frame.payload for seen in fitting if seen.frame.type == frame_type]

    async def tap(self, client: str, server: str, target: int, rewrite: Rewrite | None = None) -> Tap:
        """Get onto the path from a client to the server that listens on port `target`; connect to the tap's port."""
        tap = Tap(self, client, server, target, rewrite)
        await tap.start()
        self._open.append(tap)
        return tap

    async def dial(self, port: int, whom: str, note: str = "") -> Line:
        """Connect to a server."""
        line = Line(self.story, whom, *await asyncio.open_connection("127.0.0.1", port), note)
        self._open.append(line)
        return line

    async def listen(self, whom: str, handle: Callable[[Attacker, Line], Awaitable[None]], note: str = "") -> int:
        """Wait for connections; returns the port."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = Line(self.story, whom, reader, writer, note)
            try:
                await handle(self, line)
            except Exception as error:
                self.faults.append(error)
            await line.close()

        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def call(self, port: int, whom: str, configuration: alts.Configuration, payload: bytes) -> bytes | None:
        """Connect as an ordinary client with credentials that it holds, send a line, return the answer.

        None: refused. What refused and why is of no interest here: what the other end believed is the evidence.

        Raises:
            HangError: there was no answer in time.
        """
        tap = await self.tap(ATTACKER, whom, port)
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await aio.open_connection("127.0.0.1", tap.port, configuration=configuration)
                writer.write(payload + b"\n")
                answer = await reader.readline()
                writer.close()
                return answer.rstrip(b"\n") if answer else None
        except TimeoutError:
            raise HangError(f"{whom} neither answered nor ended the connection") from None
        except (alts.PeerViolation, OSError):
            return None

    async def close(self) -> None:
        """Close every connection and tap."""
        for listener in self._listeners:
            listener.close()
        while self._open:
            await self._open.pop().close()


async def turn_loose(function: Callable[..., Awaitable[_T]], attacker: Attacker, *arguments: Any) -> _T:
    """Run attacker code.

    Raises:
        HarnessError: the function is not one of a module, or is given anything but an attacker and plain public values.
    """
    plain = inspect.iscoroutinefunction(function) and getattr(function, "__closure__", None) is None
    if not plain or "<" in getattr(function, "__qualname__", "<"):
        raise HarnessError("attacker code has to be a coroutine function of a module, without a closure")
    for argument in arguments:
        if not _is_plain(argument):
            raise HarnessError(f"attacker code is given a {type(argument).__name__}")
    return await function(attacker, *arguments)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, int | str | Tap) or value is None
