"""A machine at work: its agent, its beliefs, and the loops that keep both fresh (CRED-5, ISSUE-6, REVOKE-7)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from alts_schema.issuance_pb2 import (
    POLICY,
    REVOCATIONS,
    EnrolRequest,
    EnrolResponse,
    FetchFileRequest,
    FileKind,
    RenewMachineRequest,
)

from .._errors import AltsError, UsageError
from ._agent import AgentCore, AgentSettings, prove_machine
from ._beliefs import Beliefs
from ._bundle import FileHolder, bundle_of, write_bundle
from ._holder import CredentialHolder
from ._rpc import Remote, call, connector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import grpclib.client

    from .._config import Environment
    from .._trust import Peer
    from ..policy import Freshness
    from ._book import AddressBook
    from ._ca import Token

WAIT_SECONDS = 30
"""How long a question for news waits at the other side before it is asked again."""
ENROL_ATTEMPTS = 5
"""How often a machine asks for its first certificate where its connection is cut (SPEC 13.1.6)."""
_ENROL_PAUSE = 0.2
logger = logging.getLogger("alts.services")


class Machine:
    """A machine with its own master key; services and daemons run on one.

    Args:
        state: its directory, with `trust` and, once enrolled, `agent.sqlite`.
        environment: clock and randomness.
        book: where the services listen.
        settings: when to rotate.
        export: whether the handshake credential is also written to `state/local`, for a process of this machine that
            holds no master key (ISSUE-7, step 2).
        freshness: how old the revocation file may be.

    Raises:
        ConfigurationError: the directory is damaged.
    """

    def __init__(
        self,
        state: Path,
        environment: Environment,
        book: AddressBook,
        settings: AgentSettings | None = None,
        *,
        export: bool = False,
        freshness: Freshness | None = None,
    ) -> None:
        self.beliefs = Beliefs(state / "trust", environment.clock, freshness)
        self.agent = AgentCore(state / "agent.sqlite", environment.clock, environment.random, settings)
        self.holder = CredentialHolder(self.beliefs.trust)
        self.environment = environment
        self._book = book
        self._export = state / "local" if export else None
        self._remotes: list[Remote] = []
        if self.agent.master() is not None:
            self.rotate_handshake()

    @property
    def identity(self) -> str:
        """Of this machine. Raises UsageError before enrolment."""
        return self.holder.configuration.credential.identity

    def still_trusts(self, peer: Peer) -> bool:
        """See `Beliefs.still_trusts`."""
        return self.beliefs.still_trusts(peer)

    def rotate_handshake(self) -> None:
        """Take a new handshake credential into use if one is due; live connections are not touched (ISSUE-6)."""
        credential = self.agent.credential()
        self.holder.update(credential)
        if self._export is not None:
            write_bundle(self._export, bundle_of(credential))

    def remote(self, service: str, name: str) -> Remote:
        """Return another service, to be called with this machine's credential."""
        identity = self.beliefs.anchors.services[name]
        connect = connector(self.holder, environment=self.environment)
        self._remotes.append(Remote(service, name, identity, self._book, connect))
        return self._remotes[-1]

    # -- what has to be done from time to time ----------------------------------------------------------------------

    async def enrol(
        self, token: Token, connect: Callable[[], grpclib.client.Channel], *, attempts: int = ENROL_ATTEMPTS
    ) -> None:
        """Get the first certificate, over a channel in clear (SPEC 13.1.6).

        Args:
            token: that permits it.
            connect: makes a channel, which is closed here; called for each attempt, since the address may be another.
            attempts: how often the request is made where there is no connection or it is cut: anybody can speak there,
                and may have had the port cut it. Between them 0.2 s, 0.4 s and so on.

        Raises:
            RequestRefused: the CA refuses, or its answer is not authentic.
            OSError: no connection, or it was cut, at each attempt.
            TimeoutError: no answer within 30 s; that is not tried again.
        """
        ca = self.beliefs.anchors.services["ca"]
        new, request = self.agent.enrol_request(token, ca)
        response = await _enrol(connect, request, attempts)
        self.agent.enrolled(token, new, request, response, ca)
        self.rotate_handshake()

    async def keep_credentials(self, tick: float) -> None:
        """Rotate the handshake certificate, and renew the master certificate, whenever it is due."""
        ca = self.remote("InternalCa", "ca")

        async def once() -> None:
            if self.agent.renewal_due:
                new = self.agent.new_key(self.identity)
                name = self.beliefs.anchors.services["ca"]
                request = RenewMachineRequest(key=prove_machine(new, name, await ca.binding()))
                signed = await ca.call("RenewMachine", request)
                self.agent.install(new, signed.certificate, name)
                logger.info("the master certificate of %s was renewed", self.identity)
            if self.agent.credential_due:
                self.rotate_handshake()

        await forever("credentials", once, tick)

    async def keep_file(self, kind: FileKind, tick: float) -> None:
        """Take every new policy or revocation file as soon as the CRL service has one (POLICY-1, REVOKE-7)."""
        crl = self.remote("RevocationService", "crl")

        async def once() -> None:
            after = self.beliefs.sequence(kind)
            request = FetchFileRequest(kind=kind, after_sequence=after, wait_seconds=WAIT_SECONDS)
            answer = await crl.call("FetchFile", request, timeout=WAIT_SECONDS + 10)
            if answer.sequence and self.beliefs.install(kind, answer.content):
                logger.info("%s file %d is in force", FileKind.Name(kind).lower(), answer.sequence)

        # asks at once again after an answer: the waiting is at the other side
        await forever(f"{FileKind.Name(kind).lower()} file", once, 0.0, retry=tick)

    def loops(self, tick: float) -> list[Awaitable[None]]:
        """Return everything that keeps this machine fresh, to be run together."""
        return [self.keep_credentials(tick), self.keep_file(POLICY, tick), self.keep_file(REVOCATIONS, tick)]

    def close(self) -> None:
        """Close connections and database."""
        for remote in self._remotes:
            remote.close()
        self.agent.close()


async def forever(what: str, once: Callable[[], Awaitable[None]], tick: float, *, retry: float = 1.0) -> None:
    """Do something again and again: after `tick` seconds if it worked, after `retry`, growing to a minute, if not.

    Failures of services, networks and disks are logged once each time the message changes; they end nothing.
    """
    said, pause = "", retry
    while True:
        try:
            await once()
        except (AltsError, OSError, TimeoutError) as error:
            if str(error) != said:
                logger.warning("%s: %s", what, error)
            said = str(error)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 60.0)
            continue
        said, pause = "", retry
        await asyncio.sleep(tick)


async def _enrol(connect: Callable[[], grpclib.client.Channel], request: EnrolRequest, attempts: int) -> EnrolResponse:
    """Ask; the same request again has the same answer (SPEC 13.1.2)."""
    for attempt in range(1, attempts + 1):
        channel = None
        try:
            channel = connect()
            response: EnrolResponse = await call(channel, "Enrolment", "Enrol", request, 30.0)
            return response
        except TimeoutError:
            raise
        except OSError as error:
            if attempt == attempts:
                raise
            logger.info("enrolment: %s; attempt %d of %d", error, attempt, attempts)
            await asyncio.sleep(_ENROL_PAUSE * 2 ** (attempt - 1))
        finally:
            if channel is not None:
                channel.close()
    raise UsageError("at least one attempt has to be made")


async def together(*loops: Awaitable[None]) -> None:
    """Run loops until one fails or this is cancelled; then end all of them."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Tenant:
    """A process on a machine whose agent is another process: it has a handshake credential and no master key.

    The cluster master is one (ISSUE-7, step 2): the ALTS daemon of its machine makes its handshake certificates.

    Args:
        state: directory of the daemon, with `trust` and `local`.
        environment: clock and randomness.
        book: where the services listen.
        freshness: how old the revocation file may be.
    """

    def __init__(
        self, state: Path, environment: Environment, book: AddressBook, freshness: Freshness | None = None
    ) -> None:
        self.holder = FileHolder(state / "local", state / "trust", environment.clock, freshness=freshness)
        self.beliefs = self.holder.beliefs
        self.environment = environment
        self._book = book
        self._remotes: list[Remote] = []

    @property
    def identity(self) -> str:
        """Of the machine. Raises UsageError until the daemon has made a credential."""
        return self.holder.configuration.credential.identity

    def still_trusts(self, peer: Peer) -> bool:
        """See `Beliefs.still_trusts`."""
        self.beliefs.refresh()
        return self.beliefs.still_trusts(peer)

    def remote(self, service: str, name: str) -> Remote:
        """Return another service, to be called with the machine's credential."""
        connect = connector(self.holder, environment=self.environment)
        self._remotes.append(Remote(service, name, self.beliefs.anchors.services[name], self._book, connect))
        return self._remotes[-1]

    def loops(self, tick: float) -> list[Awaitable[None]]:
        """Nothing: the daemon keeps everything fresh."""
        del tick
        return []

    def close(self) -> None:
        """Close connections."""
        for remote in self._remotes:
            remote.close()
