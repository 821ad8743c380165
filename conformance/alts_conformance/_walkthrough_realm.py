"""The realm of the walk-through: its processes, started and ended, and how they are talked to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from alts import Environment, Resumption
from alts.services import (
    AddressBook,
    CredentialHolder,
    FileHolder,
    Remote,
    connector,
    login,
    totp_code,
)

from ._children import end_child, signal_child, start_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from alts import Credential

SYSTEM = Environment(time.time, os.urandom)
PATIENCE = 90.0
"""Seconds to wait for anything before the walk-through gives up."""
T = TypeVar("T")


class HarnessError(Exception):
    """A process did not start: nothing was shown either way."""


class NeverHappenedError(Exception):
    """What a running realm should have done, and did not: a finding."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened, in words, and whether it is what should have happened."""

    text: str
    right: bool


@dataclass(slots=True)
class Started:
    """A process and the last lines that it printed, each a JSON object."""

    name: str
    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    said: list[dict[str, Any]] = field(default_factory=list)


async def until(what: str, probe: Callable[[], T | None]) -> T:
    """Wait for `probe` to give something true.

    Raises:
        NeverHappenedError: it never did.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := probe():
            return found
        await asyncio.sleep(0.02)
    raise NeverHappenedError(f"waited {PATIENCE:g} s for: {what}")


class Realm:
    """A realm directory, its processes, and the accounts of its people.

    Args:
        root: an empty directory of ours.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.book = AddressBook(root / "book.json")
        self.processes: list[Started] = []
        self._secrets: dict[str, bytes] = {}
        self._passwords: dict[str, str] = {}
        self._readers: list[asyncio.Task[None]] = []

    def state(self, name: str) -> Path:
        """Return a service's or machine's state directory."""
        founded = self.root / "realm" / name
        return founded if founded.exists() else self.root / name

    async def command(self, *words: str | Path, given: str = "") -> str:
        """Run `alts issuance …` to its end and return what it printed.

        Raises:
            HarnessError: it failed.
        """
        process = await start_child(
            *(sys.executable, "-m", "alts.services", "issuance", *map(str, words)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(given.encode()), PATIENCE)
        except TimeoutError:
            raise HarnessError(f"alts issuance {words[0]}: not done within {PATIENCE:g} s") from None
        finally:
            await end_child(process)
        if process.returncode:
            raise HarnessError(f"alts issuance {words[0]}: {err.decode().strip()}")
        return out.decode().strip()

    async def serve(self, name: str, *words: str | Path) -> Started:
        """Start a service and wait until it is ready."""
        common = "--book", self.book.path, "--print-ready", "--verbose", "--tick", "0.2"
        return await self.start(name, "alts.services", *words, *common)

    async def start(self, name: str, module: str, *words: str | Path) -> Started:
        """Start a Python module as a process and wait for its first line.

        Raises:
            HarnessError: it ended, or said nothing.
        """
        log = self.root / f"{name}.log"
        with log.open("wb") as errors:
            process = await start_child(
                *(sys.executable, "-m", module, *map(str, words)),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its children in order
            )
        started = Started(name, process, {})
        self.processes.append(started)
        assert process.stdout is not None  # a pipe was asked for
        try:
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        except TimeoutError:
            line = b""
        if not line:
            raise HarnessError(f"{name} did not start: {log.read_text(errors='replace').strip()[-400:]}")
        started.ready = json.loads(line)
        self._readers.append(asyncio.ensure_future(_listen(process.stdout, started.said)))
        return started

    async def end(self) -> list[int]:
        """End every process in order; return the exit codes. Interrupted, it ends them all the same, by force."""
        codes = []
        for started in reversed(self.processes):
            signal_child(started.process, signal.SIGTERM)
        try:
            for started in self.processes:
                try:
                    codes.append(await asyncio.wait_for(started.process.wait(), 20))
                except TimeoutError:
                    codes.append(await end_child(started.process))
        finally:
            await asyncio.gather(*(end_child(started.process) for started in self.processes))
        await asyncio.gather(*self._readers, return_exceptions=True)
        self.processes.clear()
        return codes

    # -- people -----------------------------------------------------------------------------------------------------

    async def add_account(self, name: str) -> None:
        """Register `corp/NAME` at the CA."""
        self._passwords[name] = f"{name}: correct horse battery staple"
        words = "add-user", self.state("ca"), name, f"corp/{name}", "--password-stdin"
        self._secrets[name] = base64.b32decode(await self.command(*words, given=self._passwords[name] + "\n"))

    async def login(self, name: str, machine: Path) -> Credential:
        """Log in as `corp/NAME` at a machine."""
        holder = FileHolder(machine / "local", machine / "trust", time.time)
        ca = self.remote(holder, "InternalCa", "ca")
        try:
            return await login(
                ca,
                holder.beliefs.anchors.services["ca"],
                SYSTEM,
                name=name,
                identity=f"corp/{name}",
                password=self._passwords[name],
                code=totp_code(self._secrets[name], int(time.time())),
            )
        finally:
            ca.close()

    def remote(self, holder: FileHolder | Person, service: str, name: str) -> Remote:
        """Return a service, to be called with the holder's credential."""
        return Remote(service, name, holder.beliefs.anchors.services[name], self.book, connector(holder))


class Person(CredentialHolder):
    """A human's tools: the credential of the day, and what the machine believes."""

    def __init__(self, credential: Credential, machine: Path, resumption: Resumption | None = None) -> None:
        self.beliefs = FileHolder(machine / "local", machine / "trust", time.time).beliefs
        super().__init__(self.beliefs.trust, resumption)
        self.update(credential)


async def _listen(stream: asyncio.StreamReader, said: list[dict[str, Any]]) -> None:
    while line := await stream.readline():
        with contextlib.suppress(ValueError):
            said.append(json.loads(line))
