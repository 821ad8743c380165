"""A recording TCP relay with programmable manipulations, one for every link of a case.

Ends are carried over faithfully: FIN becomes FIN, RST becomes RST. In frame mode a direction is cut into frames and
every frame goes through the rules; bytes that are no frames pass as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from ._frames import Frame, FrameSplitter
from ._manipulate import (
    CLIENT_TO_SERVER,
    SERVER_TO_CLIENT,
    Close,
    Direction,
    End,
    KeepForNext,
    Rule,
    Seen,
    Send,
    SendBack,
    Step,
    Wait,
    opposite,
)
from ._recording import Recording

_READ_SIZE = 1 << 18
#: Reads that may wait to be forwarded.
_QUEUE = 16


def abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST: linger 0, whatever is still queued is dropped."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass(slots=True)
class Script:
    """What a relay does to the connections through it.

    ``segment`` cuts everything in a direction into writes of that many bytes; a direction in ``shield`` does not
    carry an end of the connection over, so that the reaction of one end cannot be an echo of the other's.
    """

    rules: Sequence[Rule] = ()
    segment: dict[Direction, int] = field(default_factory=dict)
    shield: frozenset[Direction] = frozenset()


class Link:
    """One connection through the relay."""

    def __init__(
        self,
        script: Script,
        recording: Recording,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.recording = recording
        self._script = script
        self._reader = {CLIENT_TO_SERVER: client[0], SERVER_TO_CLIENT: server[0]}
        self._writer = {CLIENT_TO_SERVER: server[1], SERVER_TO_CLIENT: client[1]}
        self._splitter = {CLIENT_TO_SERVER: FrameSplitter(), SERVER_TO_CLIENT: FrameSplitter()}
        self._index: dict[Direction, int] = {CLIENT_TO_SERVER: 0, SERVER_TO_CLIENT: 0}
        self._nth: dict[tuple[Direction, int], int] = {}
        self._prefix: dict[Direction, bytes] = {CLIENT_TO_SERVER: b"", SERVER_TO_CLIENT: b""}
        self._suffix: dict[Direction, bytes] = {CLIENT_TO_SERVER: b"", SERVER_TO_CLIENT: b""}
        self._closed: set[Direction] = set()
        self._queue: dict[Direction, asyncio.Queue[list[Frame] | bytes | End]] = {
            CLIENT_TO_SERVER: asyncio.Queue(_QUEUE),
            SERVER_TO_CLIENT: asyncio.Queue(_QUEUE),
        }
        for writer in self._writer.values():
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def run(self) -> None:
        """Carry bytes until both ends are done."""
        try:
            async with asyncio.TaskGroup() as group:
                for direction in (CLIENT_TO_SERVER, SERVER_TO_CLIENT):
                    group.create_task(self._read(direction))
                    group.create_task(self._forward(direction))
        finally:
            for writer in self._writer.values():
                writer.close()

    async def _read(self, direction: Direction) -> None:
        """Take what the sender of a direction writes; recorded at once, also while something is held."""
        reader, record, queue = self._reader[direction], self.recording, self._queue[direction]
        splitter = self._splitter[direction]
        while True:
            try:
                data = await reader.read(_READ_SIZE)
            except (ConnectionError, OSError):
                self._rest(direction)
                record.add("rst", direction)
                await queue.put("rst")
                return
            if not data:
                rest = self._rest(direction)
                record.add("fin", direction)
                await queue.put(rest)
                await queue.put("fin")
                return
            frames = splitter.feed(data)
            for frame in frames:
                record.add("opaque" if frame.opaque else "frame", direction, frame.raw)
            await queue.put(frames)

    async def _forward(self, direction: Direction) -> None:
        """Write what was taken, by way of the rules."""
        queue = self._queue[direction]
        while True:
            match await queue.get():
                case "fin" | "rst" as how:
                    kept = self._prefix[direction] + self._suffix[direction]
                    if how == "fin" and kept:
                        await self._write(direction, kept)
                    self.end(direction, "fin" if how == "fin" else "rst")
                    return
                case bytes(rest):
                    self._prefix[direction] += self._suffix[direction]
                    self._suffix[direction] = rest
                case list(frames):
                    await self._forward_frames(frames, direction)

    async def _forward_frames(self, frames: list[Frame], direction: Direction) -> None:
        passing: list[bytes] = []
        for frame in frames:
            steps = self._steps(frame, direction)
            if steps is None:
                passing.append(frame.raw)
                continue
            if passing:
                await self._write(direction, b"".join(passing))
                passing.clear()
            for step in steps:
                await self._do(step, direction)
        if passing:
            await self._write(direction, b"".join(passing))

    def _rest(self, direction: Direction) -> bytes:
        rest = self._splitter[direction].flush()
        if rest:
            self.recording.add("rest", direction, rest)
        return rest

    def _steps(self, frame: Frame, direction: Direction) -> Sequence[Step] | None:
        """The steps for this frame, or None when it simply passes."""
        index, key = self._index[direction], (direction, frame.type)
        self._index[direction] = index + 1
        nth = self._nth.get(key, 0)
        self._nth[key] = nth + 1
        steps: Sequence[Step] | None = None
        if self._script.rules and not frame.opaque:
            seen = Seen(frame, direction, index, nth)
            for rule in self._script.rules:
                if rule.matches(seen):
                    rule.fired += 1
                    self.recording.add("rule", direction, note=rule.name or "manipulated")
                    steps = rule.operation(seen)
                    rule.done.set()
                    break
        prefix, suffix = self._prefix[direction], self._suffix[direction]
        if prefix or suffix:
            self._prefix[direction] = self._suffix[direction] = b""
            inner = steps if steps is not None else [Send(frame.raw)]
            if prefix and len(inner) == 1 and isinstance(inner[0], Send):
                inner = [Send(prefix + inner[0].data, inner[0].segment)]
            elif prefix:
                inner = [Send(prefix), *inner]
            return [*inner, *([Send(suffix)] if suffix else [])]
        return steps

    async def _do(self, step: Step, direction: Direction) -> None:
        match step:
            case Send(data, segment):
                self.recording.add("sent", direction, data)
                await self._write(direction, data, segment)
            case SendBack(data):
                self.recording.add("sent", opposite(direction), data, "sent back")
                await self._write(opposite(direction), data)
            case KeepForNext(data, before):
                (self._prefix if before else self._suffix)[direction] += data
            case Wait(gate):
                await gate.wait()
            case Close(how, side):
                if side in ("onward", "both"):
                    self._close(direction, how)
                if side in ("back", "both"):
                    self._close(opposite(direction), how)

    async def inject(self, direction: Direction, data: bytes, segment: int = 0) -> None:
        """Write bytes of the harness's own in a direction, now."""
        self.recording.add("sent", direction, data, "injected")
        await self._write(direction, data, segment)

    async def _write(self, direction: Direction, data: bytes, segment: int = 0) -> None:
        if direction in self._closed or not data:
            return
        writer = self._writer[direction]
        size = segment or self._script.segment.get(direction, 0) or len(data)
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(data), size):
                writer.write(data[at : at + size])
                await writer.drain()
                if size < len(data):
                    await asyncio.sleep(0)

    def end(self, direction: Direction, how: End, *, force: bool = False) -> None:
        """Carry an end over to the receiver of ``direction``, unless that direction is shielded (and not ``force``)."""
        if force or direction not in self._script.shield:
            self._close(direction, how)

    def _close(self, direction: Direction, how: End) -> None:
        if direction in self._closed:
            return
        self._closed.add(direction)
        self.recording.add("closed", direction, note=how)
        writer = self._writer[direction]
        if how == "rst":
            abort(writer)
        elif writer.can_write_eof():
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()


class Relay:
    """Listens on a loopback port and carries every connection to ``target``; each becomes a :class:`Link`."""

    def __init__(
        self, target: tuple[str, int], script: Script | None = None, *, name: str = "link", secret: bool = False
    ):
        self.target = target
        self.script = script or Script()
        self.links: list[Link] = []
        self._name, self._secret = name, secret
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Event()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port.

        Raises:
            OSError: the address cannot be had.
        """
        self._server = await asyncio.start_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        recording = Recording(f"{self._name}#{len(self.links)}", secret=self._secret)
        recording.add("open", CLIENT_TO_SERVER)
        try:
            server = await asyncio.open_connection(*self.target)
        except OSError:
            recording.add("rst", SERVER_TO_CLIENT, note="nobody listens")
            abort(writer)
            self._tasks.discard(task)
            return
        link = Link(self.script, recording, (reader, writer), server)
        self.links.append(link)
        self._arrived.set()
        try:
            await link.run()
        except* OSError:
            pass
        except* asyncio.CancelledError:
            # The end of a relay, asked for by stop(); the stream server that runs this would report it as a mistake.
            pass
        finally:
            self._tasks.discard(task)

    async def first_link(self, seconds: float = 10.0) -> Link:
        """The first connection through this relay.

        Raises:
            TimeoutError: nobody connected in time.
        """
        async with asyncio.timeout(seconds):
            await self._arrived.wait()
        return self.links[0]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
