"""The issuers at work: what the internal CA and the cluster master do over the network around their cores (ISSUE-1)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from alts_schema.issuance_pb2 import (
    AssignmentsResponse,
    EnrolResponse,
    GrantRangeRequest,
    ReportRequest,
    Rotated,
    Scheduled,
    SignedMaster,
    Stopped,
)

from ._errors import RequestRefused, Status
from ._issuing import LOW_RANGE
from ._machine import WAIT_SECONDS, forever
from ._rpc import Methods, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alts_schema.issuance_pb2 import (
        AssignmentsRequest,
        EnrolRequest,
        LoginRequest,
        RenewMachineRequest,
        RotateRequest,
        ScheduleRequest,
        StopRequest,
    )

    from .._trust import Peer
    from ._ca import CaCore
    from ._cluster import ClusterCore
    from ._issuing import Issuing, Pending
    from ._rpc import Caller, Remote

RANGE = 4096
"""Revocation IDs that an issuer asks for at a time."""
logger = logging.getLogger("alts.services")


class News:
    """Lets waiting calls go on when something changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something changed."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait for the next `tell`, or for so long."""
        event = self._event
        with contextlib.suppress(TimeoutError):
            # not `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes together with the news
            async with asyncio.timeout(seconds):
                await event.wait()


class IssuerLink:
    """An issuer's way to the Signing Service and the CRL service.

    Args:
        issuing: what the issuer keeps.
        signing: the Signing Service.
        crl: the CRL service.
    """

    def __init__(self, issuing: Issuing, signing: Remote, crl: Remote) -> None:
        self._issuing = issuing
        self.signing = signing
        self._crl = crl
        self._lock = asyncio.Lock()
        self.outbox = News()

    async def ensure_ids(self, count: int = LOW_RANGE) -> None:
        """Get a range from the CRL service unless `count` IDs are left (REVOKE-3).

        Raises:
            As `Remote.call`, but not while a few IDs are left.
        """
        async with self._lock:
            if self._issuing.free >= count:
                return
            try:
                request = GrantRangeRequest(count=max(RANGE, count))
                self._issuing.add_range(await self._crl.call("GrantRange", request))
            except RequestRefused as refusal:
                if count > LOW_RANGE or not self._issuing.free:
                    raise _elsewhere("CRL service", refusal) from None
            except (OSError, TimeoutError):
                if count > LOW_RANGE or not self._issuing.free:
                    raise

    async def sign(self, pending: Pending) -> bytes:
        """Return the certificate of a request: the one that is there, or the Signing Service's answer (ISSUE-1)."""
        if pending.certificate is not None:
            return pending.certificate
        try:
            signed: SignedMaster = await self.signing.call("SignMaster", pending.request)
        except RequestRefused as refusal:
            raise _elsewhere("Signing Service", refusal) from None
        return signed.certificate

    async def keep_reporting(self, tick: float) -> None:
        """Report every mapping until the CRL service has confirmed it (REVOKE-4)."""

        async def once() -> None:
            while mappings := self._issuing.unreported():
                await self._crl.call("Report", ReportRequest(mappings=mappings))
                self._issuing.reported(mappings)
            await self.outbox.wait(WAIT_SECONDS)

        await forever("mapping reports", once, 0.0, retry=tick)


def _elsewhere(service: str, refusal: RequestRefused) -> RequestRefused:
    """Another service refused us; to our own caller that is no judgement about it."""
    return RequestRefused(Status.UNAVAILABLE, f"the {service} refused: {refusal}")


class CaService:
    """The internal CA as a service (ISSUE-5, ISSUE-6).

    Args:
        core: what it decides and keeps.
        link: to the other services.
        trusts: see `Service`.
    """

    def __init__(self, core: CaCore, link: IssuerLink, trusts: Callable[[Peer], bool]) -> None:
        self._core = core
        self._link = link
        self.service = Service("InternalCa", {"Login": self._login, "RenewMachine": self._renew}, trusts)
        self.enrolment = Service("Enrolment", {"Enrol": self._enrol}, protected=False)

    async def recover(self) -> None:
        """Have answered what was asked before a crash, so that no certificate is signed and unknown.

        Raises:
            RequestRefused, OSError, TimeoutError: one was not answered; the others were tried.
        """
        failed: Exception | None = None
        for pending in self._core.issuing.unanswered():
            try:
                self._core.complete(pending, await self._link.sign(pending))
            except (RequestRefused, OSError, TimeoutError) as error:
                failed = error
        self._link.outbox.tell()
        if failed is not None:
            raise failed

    async def _login(self, request: LoginRequest, caller: Caller) -> SignedMaster:
        await self._link.ensure_ids()
        kept = self._core.password_of(request.name)
        right = await asyncio.to_thread(kept.verify, request.password)  # slow on purpose
        return await self._finish(self._core.login(request, caller.peer, caller.binding, password_right=right))

    async def _renew(self, request: RenewMachineRequest, caller: Caller) -> SignedMaster:
        await self._link.ensure_ids()
        return await self._finish(self._core.renew_machine(request.key, caller.peer, caller.binding))

    async def _enrol(self, request: EnrolRequest, caller: None) -> EnrolResponse:
        self._core.check_enrolment(request)  # before a stranger makes us call anybody
        await self._link.ensure_ids()
        signed = await self._finish(self._core.enrol(request))
        return self._core.enrolled(request, signed.certificate)

    async def _finish(self, pending: Pending) -> SignedMaster:
        signed = self._core.complete(pending, await self._link.sign(pending))
        self._link.outbox.tell()
        return signed


class ClusterService:
    """The cluster master as a service (ISSUE-7 to ISSUE-9).

    Args:
        core: what it decides and keeps.
        link: to the other services.
        trusts: see `Service`.
    """

    def __init__(self, core: ClusterCore, link: IssuerLink, trusts: Callable[[Peer], bool]) -> None:
        self._core = core
        self._link = link
        self._lock = asyncio.Lock()
        self._news = News()
        methods: Methods = {
            "Schedule": self._schedule,
            "Stop": self._stop,
            "Assignments": self._assignments,
            "Rotate": self._rotate_now,
        }
        self.service = Service("ClusterMaster", methods, trusts)

    async def rotate(self) -> int:
        """Have a new base workload master signed and everything re-issued under it (ISSUE-8); return its epoch.

        Raises:
            As `Remote.call`; nothing has changed then, and the same request is made again next time.
        """
        async with self._lock:
            await self._link.ensure_ids(self._core.ids_needed)
            pending = self._core.begin_rotation(await self._link.signing.binding())
            epoch = self._core.complete_rotation(pending, await self._link.sign(pending))
        self._news.tell()
        self._link.outbox.tell()
        logger.info("base workload master %d is in use; all workloads have new credentials", epoch)
        return epoch

    def loop(self, tick: float) -> Awaitable[None]:
        """Return what rotates whenever it is due (ISSUE-8)."""

        async def once() -> None:
            if self._core.rotation_due:
                await self.rotate()

        return forever("rotation", once, tick)

    async def _schedule(self, request: ScheduleRequest, caller: Caller) -> Scheduled:
        self._core.require_may_run(caller.peer, request.identity)
        await self._link.ensure_ids()
        workload = self._core.schedule(request.request_id, request.identity, request.node, caller.peer)
        self._news.tell()
        self._link.outbox.tell()
        return Scheduled(workload=workload)

    async def _stop(self, request: StopRequest, caller: Caller) -> Stopped:
        self._core.stop(request.workload, caller.peer)
        self._news.tell()
        self._link.outbox.tell()
        return Stopped()

    async def _assignments(self, request: AssignmentsRequest, caller: Caller) -> AssignmentsResponse:
        found = self._core.assignments(caller.peer, request.after_version)
        if found is None:
            await self._news.wait(min(request.wait_seconds, WAIT_SECONDS))
            found = self._core.assignments(caller.peer, request.after_version)
        return found or AssignmentsResponse(version=request.after_version)

    async def _rotate_now(self, request: RotateRequest, caller: Caller) -> Rotated:
        self._core.require_operator(caller.peer)
        return Rotated(epoch=await self.rotate())
