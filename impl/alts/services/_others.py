"""The Signing Service, the CRL service and the node agent at work: what they do over the network around their cores."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from alts_schema.issuance_pb2 import (
    POLICY,
    REVOCATIONS,
    AssignmentsRequest,
    Reported,
    Revoked,
    SignedFile,
)

from .._errors import ConfigurationError
from ..realm import _files
from ._bundle import open_bundle, write_bundle
from ._errors import invalid
from ._issuers import News
from ._machine import WAIT_SECONDS, forever
from ._rpc import Methods, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from alts_schema.issuance_pb2 import (
        AssignmentsResponse,
        FetchFileRequest,
        FileKind,
        GrantRangeRequest,
        ReportRequest,
        RevocationRange,
        RevokeRequest,
        SignedMaster,
        SignMasterRequest,
    )

    from .._trust import Peer
    from ._beliefs import Beliefs
    from ._crl import CrlCore
    from ._rpc import Caller, Remote
    from ._signing import SigningCore

logger = logging.getLogger("alts.services")


def signing_service(core: SigningCore, trusts: Callable[[Peer], bool]) -> Service:
    """Return the Signing Service as a service: whoever is authenticated may ask, and is named as issuer (ISSUE-2)."""

    async def sign(request: SignMasterRequest, caller: Caller) -> SignedMaster:
        return core.sign(request, caller.peer.identity)

    return Service("SigningService", {"SignMaster": sign}, trusts)


class CrlService:
    """The CRL service as a service; it also hands out the policy file (POLICY-1, REVOKE-7).

    Args:
        core: what it decides and keeps.
        beliefs: of its machine, whose policy file is handed out.
        trusts: see `Service`.

    Raises:
        ConfigurationError: the database is older than the revocation file in force here.
    """

    def __init__(self, core: CrlCore, beliefs: Beliefs, trusts: Callable[[Peer], bool]) -> None:
        self._core = core
        self._beliefs = beliefs
        self._news = News()
        self._ahead = 0
        self._require_newest()
        methods: Methods = {
            "GrantRange": self._grant,
            "Report": self._report,
            "Revoke": self._revoke,
            "FetchFile": self._fetch,
        }
        self.service = Service("RevocationService", methods, trusts)

    def publish(self) -> int:
        """Make a new file if one is due, put it in force here, wake who waits; return its sequence number.

        Raises:
            ConfigurationError: as the constructor; nothing was made.
        """
        self._require_newest()
        publication = self._core.publish()
        if self._beliefs.sequence(REVOCATIONS) < publication.sequence:
            self._beliefs.install(REVOCATIONS, publication.content)
            self._news.tell()
        return publication.sequence

    def _require_newest(self) -> None:
        """Refuse a database that does not know of the newest file: it would make another one with the same number,
        which nobody takes, and grant ranges again (SPEC 13.1.11).
        """
        publication, in_force = self._core.publication(), self._beliefs.sequence(REVOCATIONS)
        made = 0 if publication is None else publication.sequence
        if made < in_force:
            raise ConfigurationError(
                f"the database knows of revocation file {made}, and {in_force} is in force: was it restored from a"
                " backup? What was granted and revoked since is lost with it"
            )

    def loop(self, tick: float) -> Awaitable[None]:
        """Return what publishes revocations whose time has come, and looks for a new policy file."""

        async def once() -> None:
            if self._beliefs.refresh():
                self._news.tell()
            self.publish()

        return forever("publication", once, tick)

    async def _grant(self, request: GrantRangeRequest, caller: Caller) -> RevocationRange:
        return self._core.grant(request.count, caller.peer)

    async def _report(self, request: ReportRequest, caller: Caller) -> Reported:
        self._core.report(request, caller.peer)
        self.publish()
        return Reported()

    async def _revoke(self, request: RevokeRequest, caller: Caller) -> Revoked:
        self._core.revoke(request, caller.peer)
        return Revoked(sequence=self.publish())

    async def _fetch(self, request: FetchFileRequest, caller: Caller) -> SignedFile:
        kind = request.kind
        if kind not in (REVOCATIONS, POLICY):
            raise invalid("no such kind of file")
        if self._beliefs.sequence(kind) <= request.after_sequence:
            await self._news.wait(min(request.wait_seconds, WAIT_SECONDS))
        sequence = self._beliefs.sequence(kind)
        if sequence <= request.after_sequence:
            self._tell_who_is_ahead(kind, request.after_sequence, caller)
            return SignedFile()
        return SignedFile(sequence=sequence, content=self._beliefs.content(kind))

    def _tell_who_is_ahead(self, kind: FileKind, sequence: int, caller: Caller) -> None:
        """Say it, once, if a machine says that it has a file that was never made here."""
        if kind == REVOCATIONS and sequence > max(self._ahead, self._beliefs.sequence(kind)):
            self._ahead = sequence
            logger.warning(
                "%s has revocation file %d, which is newer than any made here: if this machine was restored from a"
                " backup, nothing that is revoked here takes effect there",
                caller.peer.identity,
                sequence,
            )


class NodeAgent:
    """Takes what runs on this machine from the cluster master, and keeps each workload's directory (ISSUE-7, CRED-6).

    Args:
        directory: with one directory a workload.
        cluster: the cluster master.
    """

    def __init__(self, directory: Path, cluster: Remote) -> None:
        self._directory = directory
        self._cluster = cluster
        self._version = 0  # everything is asked for anew after a restart

    def apply(self, response: AssignmentsResponse) -> list[str]:
        """Write what is new and remove what does not run any more; return the names of the workloads.

        A bundle whose parts do not belong together is refused, and the workload keeps its last one.

        Raises:
            ConfigurationError: a directory cannot be written, or a bundle is refused; the others are written.
        """
        refused: ConfigurationError | None = None
        names = []
        for assignment in response.assignments:
            name = assignment.workload
            if not (name.isascii() and name.isalnum()):
                raise ConfigurationError("assignment: the name of a workload")
            names.append(name)
            try:
                open_bundle(assignment.credential)
                write_bundle(self._directory / name, assignment.credential)
            except ConfigurationError as error:
                refused = error
        with _files.explained(self._directory):
            for entry in self._directory.iterdir():
                if entry.name not in names and not entry.name.startswith("."):
                    shutil.rmtree(entry, ignore_errors=True)
        if refused is not None:
            raise refused
        return names

    def loop(self, tick: float) -> Awaitable[None]:
        """Return what takes every change as soon as the cluster master has it."""

        async def once() -> None:
            request = AssignmentsRequest(after_version=self._version, wait_seconds=WAIT_SECONDS)
            response = await self._cluster.call("Assignments", request, timeout=WAIT_SECONDS + 10)
            if response.version != self._version:
                self.apply(response)
                self._version = response.version

        return forever("assignments", once, 0.0, retry=tick)
