"""The harness's end of the driver protocol: one peer process, JSON lines on its stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _shapes
from ._children import end_child
from ._verdict import HarnessError, PeerCrashed, PeerHung, PeerMisbehaved

PROTOCOL = 1
#: A command that no driver knows. Whoever does anything but refuse it cannot be trusted in what it declares.
CANARY = "openalts-canary-no-such-command"
_LINE_LIMIT = 64 << 20
_NSEXEC = Path(__file__).with_name("_nsexec.py")


class DriverRefused(HarnessError):
    """The driver answered with an error; ``code`` is ``unsupported`` or ``failed``."""

    def __init__(self, code: str, detail: str, what: str = "") -> None:
        super().__init__(": ".join(part for part in (what, code, detail) if part))
        self.code = code


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a driver reports of one call: raw facts, no judgement."""

    status: int
    sent_messages: int
    sent_bytes: int
    sent_sha256: str
    received_messages: int
    received_bytes: int
    received_sha256: str
    received_first: bytes
    detail: str
    seconds: float

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Outcome:
        """Read an answer to ``rpc`` that has the published shape."""
        return cls(
            int(answer["status"]),
            int(answer["sent_messages"]),
            int(answer["sent_bytes"]),
            str(answer["sent_sha256"]),
            int(answer["received_messages"]),
            int(answer["received_bytes"]),
            str(answer["received_sha256"]),
            bytes.fromhex(answer.get("received_first", "")),
            str(answer.get("detail", "")),
            float(answer["seconds"]),
        )


class Driver:
    """A running peer process."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.name = name
        self.hello: dict[str, Any] = {}
        self.stderr: deque[str] = deque(maxlen=40)
        self.spoiled = False
        self.uses = 0
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next = 1
        self._ending: PeerCrashed | PeerMisbehaved | None = None
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._drain())]

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        hosts: Path | None = None,
        seconds: float = 30.0,
    ) -> Driver:
        """Start a peer and greet it: version check, then the canary.

        Raises:
            HarnessError: it cannot be started.
            PeerMisbehaved: it speaks another protocol version, accepts the canary, or answers in another shape.
            PeerCrashed: it ended at once.
            PeerHung: it does not greet back in time.
        """
        nested = ["--hosts", str(hosts)] if hosts is not None else []
        full = [sys.executable, "-I", "-S", str(_NSEXEC), *nested, "--", *command]
        try:
            process = await asyncio.create_subprocess_exec(
                *full,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(env) if env is not None else None,
                limit=_LINE_LIMIT,
            )
        except OSError as error:
            raise HarnessError(f"peer {name} cannot be started: {error}") from None
        driver = cls(process, name)
        try:
            try:
                driver.hello = await driver.call("hello", seconds=seconds, protocol=PROTOCOL)
            except DriverRefused as refused:
                raise PeerMisbehaved(str(refused)) from None
            if driver.hello.get("protocol") != PROTOCOL:
                raise PeerMisbehaved(
                    f"peer {name} speaks driver protocol {driver.hello.get('protocol')!r}, not {PROTOCOL}"
                )
            await driver._canary(seconds)
        except BaseException:
            await driver.kill()
            raise
        return driver

    async def _canary(self, seconds: float) -> None:
        try:
            await self.call(CANARY, seconds=seconds)
        except DriverRefused as refused:
            if refused.code != "unsupported":
                raise PeerMisbehaved(
                    f"peer {self.name} answers the canary with {refused.code!r}, not 'unsupported'"
                ) from None
        else:
            raise PeerMisbehaved(f"peer {self.name} accepts the canary: nothing that it declares can be believed")

    async def call(self, command: str, *, seconds: float = 10.0, **fields: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            PeerCrashed: the process ended.
            PeerHung: no answer within ``seconds``.
            PeerMisbehaved: the answer has not the shape that is published for this command.
            DriverRefused: the driver answered with an error.
        """
        if self._ending is not None:
            raise self._ending
        number = self._next
        self._next += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"id": number, "command": command, **fields}).encode() + b"\n")
            await stdin.drain()
            async with asyncio.timeout(seconds):
                answer = await future
        except TimeoutError:
            self.spoiled = True
            raise PeerHung(f"peer {self.name} did not answer {command} within {seconds:g} s") from None
        except ConnectionError:
            await asyncio.wait(self._tasks, timeout=2)
            raise self._why_ended() from None
        finally:
            self._waiting.pop(number, None)
        if problem := _shapes.problem_of_answer(command, answer):
            raise self._misbehaved(f"answers {command} with a document that breaks the published schema: {problem}")
        if answer["ok"] is not True:
            what = f"peer {self.name} refuses {command}"
            raise DriverRefused(str(answer["error"]), str(answer.get("detail", "")), what)
        return answer

    async def rpc(self, channel: str, method: str, *, timeout: float = 10.0, **fields: Any) -> Outcome:
        """One call of the test application; the driver gets some seconds more than the call itself."""
        answer = await self.call("rpc", seconds=timeout + 5, channel=channel, method=method, timeout=timeout, **fields)
        return Outcome.from_answer(answer)

    def _misbehaved(self, what: str) -> PeerMisbehaved:
        self.spoiled = True
        return PeerMisbehaved(f"peer {self.name} {what}")

    def _crashed(self) -> PeerCrashed:
        self.spoiled = True
        code = self._process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return PeerCrashed(f"peer {self.name} ended by itself ({how})")

    @property
    def alive(self) -> bool:
        """Whether the process is running and may be used again."""
        return self._process.returncode is None and not self.spoiled

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            async for line in stdout:
                if not line.endswith(b"\n"):
                    break  # the process ended in the middle of an answer
                number, answer = self._answer(line)
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    future.set_result(answer)
        except PeerMisbehaved as misbehaved:
            self._end_all(misbehaved)
        except ValueError:
            self._end_all(self._misbehaved(f"writes a line of more than {_LINE_LIMIT} bytes to stdout"))
        else:
            await self._process.wait()
            self._end_all(self._crashed())

    def _answer(self, line: bytes) -> tuple[int, dict[str, Any]]:
        """The number and the document of an answer.

        Raises:
            PeerMisbehaved: it is no JSON object, or answers nothing that was asked.
        """
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        number = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < self._next:
            raise self._misbehaved(f"writes a line to stdout that is no answer: {line[:120]!r}")
        return number, answer

    def _why_ended(self) -> PeerCrashed | PeerMisbehaved:
        return self._ending or self._crashed()

    def _end_all(self, ending: PeerCrashed | PeerMisbehaved) -> None:
        """Nothing that this process says counts any more: every call, waiting or to come, ends so."""
        self._ending = ending
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ending)

    async def _drain(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        with contextlib.suppress(ValueError):
            async for line in stderr:
                self.stderr.append(line.decode("utf-8", "replace").rstrip())

    async def reset(self) -> bool:
        """Close every channel and server; False when the peer cannot be used again."""
        if not self.alive:
            return False
        try:
            await self.call("reset", seconds=10)
        except (PeerCrashed, PeerHung, PeerMisbehaved, DriverRefused):
            return False
        return self.alive

    async def kill(self) -> None:
        """End the process, whatever it is doing."""
        if self._process.returncode is None:
            await end_child(self._process)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
