"""What the cases of one worker share: a realm, handshaker services, and peer processes that are used again when clean.

One *slot* is one identity of the realm with loopback addresses of its own (127.0.0.N and fd00::N, port 8080 for its
handshaker service). A process that looks for its handshaker service by name runs in a nested mount namespace whose
hosts file leads it to its slot.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import _namespaces, _peers
from ._children import end_child, signal_child
from ._driver import Driver
from ._recording import Recording
from ._relay import Relay
from ._verdict import CaseEnded, HarnessError, PeerMisbehaved

#: Identities that exist in every worker's realm, by slot name. Further ones are made by the cases that need them.
CLIENT_SLOT, SERVER_SLOT = "client", "server"
SERVICE_PORT = 8080
#: Where the service itself listens; a recording relay stands before it.
_BEHIND_PORT = 18080
#: fd00::2 to fd00::(LAST_SLOT) are put on `lo` when a worker starts.
LAST_SLOT = 24
#: A peer process is used for at most this many cases.
_USES = 60


@dataclass(frozen=True, slots=True)
class Slot:
    """An identity with its addresses. ``NAME#NUMBER`` is a slot with credential NAME that a case sets up for itself:
    its processes are not used again.
    """

    number: int
    credential: str
    hosts: Path

    @property
    def ipv4(self) -> str:
        """Where its handshaker service listens."""
        return f"127.0.0.{self.number}"

    @property
    def ipv6(self) -> str:
        """The same for IPv6."""
        return "::1" if self.number == 1 else f"fd00::{self.number}"


@dataclass(slots=True)
class Service:
    """A running handshaker service (or another long-lived helper process)."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.returncode is None

    async def reload(self, seconds: float = 15.0) -> None:
        """Have a handshaker service read its realm again, and wait until it has.

        Raises:
            HarnessError: it refuses, or does not say that it has.
        """
        before = self.log.read_text(errors="replace")
        signal_child(self.process, signal.SIGHUP)
        for _ in range(int(seconds / 0.02)):
            said = self.log.read_text(errors="replace")[len(before) :]
            if "handshaker: reloaded" in said:
                return
            if "not reloaded" in said or not self.alive:
                break
            await asyncio.sleep(0.02)
        raise HarnessError(f"{self.log.stem} did not read its realm again: {said.strip()[-300:]}")

    async def kill(self) -> None:
        """End it."""
        await end_child(self.process)


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of child processes: this one's without proxies (the C-core would send loopback traffic there)."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, **more}


@dataclass(slots=True)
class World:
    """Everything a worker keeps between cases."""

    folder: Path
    peers: Mapping[str, _peers.Peer]
    isolated: bool = True
    versions: dict[str, str] = field(default_factory=dict)
    #: Counts the ports of services that belong to one case alone.
    next_port: int = 0
    _slots: dict[str, Slot] = field(default_factory=dict)
    _idle: dict[tuple[str, str], list[Driver]] = field(default_factory=dict)
    _services: dict[int, Service] = field(default_factory=dict)
    _fronted: set[int] = field(default_factory=set)
    _relays: list[Relay] = field(default_factory=list)
    _realm_ready: bool = False

    @property
    def realm(self) -> Path:
        """The directory of the realm that all peers of this worker believe in."""
        return self.folder / "realm"

    def slot(self, name: str) -> Slot:
        """The slot of a credential, made at first use.

        Raises:
            HarnessError: there are no addresses left.
        """
        if name not in self._slots:
            number = len(self._slots) + 1
            if number > LAST_SLOT:
                raise HarnessError("no addresses left for another slot")
            hosts = self.folder / f"hosts-{number}"
            slot = Slot(number, name.partition("#")[0], hosts)
            hosts.write_text(_namespaces.hosts_text(slot.ipv4, slot.ipv6))
            self._slots[name] = slot
        return self._slots[name]

    async def ensure_realm(self) -> Path:
        """Make the realm at first use and return its directory."""
        if not self._realm_ready:
            from ._realm import make

            await asyncio.to_thread(make, self.realm)
            self._realm_ready = True
        return self.realm

    async def driver(self, peer_name: str, slot_name: str, *, alts: bool = True) -> Driver:
        """A peer process for this slot: an idle one or a new one.

        Raises:
            HarnessError: the peer cannot be started.
            PeerMisbehaved: it is not what it is declared to be.
            PeerCrashed, PeerHung: it does not come up.
        """
        peer = self.peers[peer_name]
        idle = self._idle.setdefault((peer_name, slot_name), [])
        while idle:
            driver = idle.pop()
            if driver.alive:
                driver.uses += 1
                return driver
            await driver.kill()
        slot = self.slot(slot_name)
        if peer.uses_handshaker and alts:
            await self.ensure_service(slot)
        hosts = slot.hosts if peer.uses_handshaker and self.isolated else None
        driver = await Driver.start(peer.command, name=peer_name, env=clean_environment(peer.env), hosts=hosts)
        declared = frozenset(driver.hello.get("capabilities", ()))
        if declared != peer.capabilities:
            await driver.kill()
            difference = ", ".join(sorted(declared ^ peer.capabilities))
            raise PeerMisbehaved(f"peer {peer_name} declares other capabilities than the harness expects: {difference}")
        self.versions[peer_name] = str(driver.hello.get("version", "unknown"))
        return driver

    async def give_back(self, peer_name: str, slot_name: str, driver: Driver, *, clean: bool) -> None:
        """Keep a driver for later if the case left it in a good state, else end it."""
        if clean and "#" not in slot_name and driver.uses < _USES and await driver.reset():
            self._idle.setdefault((peer_name, slot_name), []).append(driver)
        else:
            await driver.kill()

    async def ensure_service(self, slot: Slot) -> Service:
        """Have the handshaker service of a slot run.

        Raises:
            HarnessError: it does not come up.
        """
        service = self._services.get(slot.number)
        if service is None or not service.alive:
            service = await self.restart_service(slot, await self.ensure_realm())
        return service

    async def restart_service(self, slot: Slot, realm: Path, *options: str) -> Service:
        """Have a new handshaker service run for a slot, in place of the one that it had, with further options.

        Raises:
            HarnessError: it does not come up.
        """
        old = self._services.pop(slot.number, None)
        if old is not None:
            await old.kill()
        listen = [f"{slot.ipv4}:{_BEHIND_PORT}"]
        service = await self.start_handshaker(realm, slot.credential, listen, f"handshaker-{slot.number}", *options)
        self._services[slot.number] = service
        for address in (slot.ipv4, slot.ipv6) if slot.number not in self._fronted else ():
            # The keys pass here: sizes are recorded, bytes are not.
            relay = Relay((slot.ipv4, _BEHIND_PORT), name=f"handshaker service of {slot.credential}", secret=True)
            self._relays.append(relay)
            await relay.start(address, SERVICE_PORT)
        self._fronted.add(slot.number)
        return service

    def service_recordings(self) -> list[Recording]:
        """The records of all links to handshaker services; they live longer than a case."""
        return [link.recording for relay in self._relays for link in relay.links]

    async def start_handshaker(self, realm: Path, credential: str, listen: list[str], name: str, *more: str) -> Service:
        """Start ``alts serve handshaker`` and wait until it accepts connections.

        Raises:
            HarnessError: it ends, or does not listen within 20 s.
        """
        where = [part for address in listen for part in ("--listen", address)]
        command = [sys.executable, "-m", "alts_conformance.cli", "serve", "handshaker"]
        command += ["--realm", str(realm), "--identity", credential, *where, *more]
        service = await self.spawn(command, name)
        for address in listen:
            host, _, port = address.rpartition(":")
            await self._wait_for_port(service, host.strip("[]"), int(port))
        return service

    async def spawn(self, command: list[str], name: str) -> Service:
        """Start a helper process that dies with this worker; its output goes to a log file.

        Raises:
            HarnessError: it cannot be started.
        """
        log = self.folder / f"{name}.log"
        launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("_nsexec.py")), "--", *command]
        try:
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *launcher,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=clean_environment(_peers.reference_env()),
                )
        except OSError as error:
            raise HarnessError(f"{name} cannot be started: {error}") from None
        return Service(process, log)

    async def _wait_for_port(self, service: Service, host: str, port: int) -> None:
        for _ in range(400):
            if not service.alive:
                text = service.log.read_text(errors="replace").strip()[-600:]
                raise HarnessError(f"{service.log.stem} ended with code {service.process.returncode}: {text}")
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
        raise HarnessError(f"{service.log.stem} does not listen on {host}:{port}")

    async def probe(self) -> dict[str, dict[str, str]]:
        """Start every peer once: peer -> verdict and message, for those that do not start as they should.

        What a peer does here is its own doing: a finding, never a reason to leave it out.

        Raises:
            HarnessError: a peer cannot be started for want of something on this side.
        """
        findings = {}
        for name in self.peers:
            try:
                driver = await self.driver(name, SERVER_SLOT, alts=False)
            except CaseEnded as ended:
                findings[name] = {"verdict": ended.verdict.value, "message": f"at its start: {ended.message}"}
            else:
                await self.give_back(name, SERVER_SLOT, driver, clean=not self.peers[name].uses_handshaker)
        return findings

    async def close(self) -> None:
        """End every process."""
        for drivers in self._idle.values():
            for driver in drivers:
                await driver.kill()
        for relay in self._relays:
            await relay.stop()
        for service in self._services.values():
            await service.kill()
