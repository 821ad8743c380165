"""The services over the network, in one loop: authentication, refusals, a service that is away, what is reported."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message import Message

from alts import Category, ErrorCode, Peer, PeerViolation
from alts.policy import open_policy
from alts.revocation import open_revocations
from alts.services import (
    AgentSettings,
    Machine,
    NodeAgent,
    RequestRefused,
    Service,
    Status,
    call,
    prove_machine,
    read_bundle,
    request_master,
)
from alts.services._issuers import News
from alts.services.cli import SYSTEM
from alts.services.cli._clear import channel_in_clear, serve_in_clear
from alts_schema.issuance_pb2 import (
    POLICY,
    REVOCATIONS,
    AssignmentsRequest,
    EnrolRequest,
    FetchFileRequest,
    GrantRangeRequest,
    RenewMachineRequest,
    RevokeRequest,
    RotateRequest,
    ScheduleRequest,
    SignedMaster,
    StopRequest,
)
from tests.impl.aio_tools import until
from tests.impl.services_realm import HOST, OPERATOR, realm_at

if TYPE_CHECKING:
    from pathlib import Path

    from alts.services import Remote


async def refused(remote: Remote, method: str, request: Message) -> Status:
    with pytest.raises(RequestRefused) as caught:
        await remote.call(method, request)
    return caught.value.status


@pytest.mark.req("ISSUE-6", "ISSUE-1", "ISSUE-2", "TRUST-1", "TRUST-3")
def test_enrolment_renewal_login_and_who_may_call_what(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            desk = await realm.enrol("machines/desk", "desk")
            ca, name = desk.remote("InternalCa", "ca"), realm.anchors.services["ca"]
            new = desk.agent.new_key("machines/desk")
            stale = RenewMachineRequest(key=prove_machine(new, name, bytes(32)))
            assert await refused(ca, "RenewMachine", stale) is Status.UNAUTHENTICATED, "of another connection"
            request = RenewMachineRequest(key=prove_machine(new, name, await ca.binding()))
            signed: SignedMaster = await ca.call("RenewMachine", request)
            before = desk.agent.credential()
            desk.agent.install(new, signed.certificate, name)
            desk.rotate_handshake()
            assert desk.holder.configuration.credential.parsed.signed.master != before.parsed.signed.master
            crl = desk.remote("RevocationService", "crl")
            assert await refused(crl, "GrantRange", GrantRangeRequest(count=1)) is Status.PERMISSION_DENIED
            assert await refused(crl, "Revoke", RevokeRequest(revocation_ids=[2 << 56])) is Status.PERMISSION_DENIED
            assert await refused(crl, "FetchFile", FetchFileRequest()) is Status.INVALID_ARGUMENT
            olga = await realm.login(desk)
            assert (olga.identity, olga.peer.issuer) == (OPERATOR, name)
            issuers = [issuer for _, issuer in realm.signing_core.issued()]
            assert issuers.count(name) == 3
            person = realm.as_person(desk, olga)
            humans = person.remote("InternalCa", "ca")
            key = prove_machine(new, name, await humans.binding())
            assert await refused(humans, "RenewMachine", RenewMachineRequest(key=key)) is Status.PERMISSION_DENIED

    asyncio.run(main())


@pytest.mark.req("ISSUE-6", "CRED-5", "REVOKE-7", "POLICY-1")
def test_a_machine_keeps_itself_fresh(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            settings = AgentSettings(handshake_lifetime=2, master_rotation=1)
            node = await realm.enrol("machines/node", "node", export=True, settings=settings)
            first = node.holder.configuration.credential
            (tmp_path / "node/trust/policy/accepted").unlink()
            assert node.beliefs.sequence(POLICY) == 1, "what is in force does not hang on the file"
            realm.background(*node.loops(0.05))
            await until(lambda: node.holder.configuration.credential.parsed.signed.master != first.parsed.signed.master)
            renewed = node.holder.configuration.credential
            await until(lambda: node.holder.configuration.credential.certificate != renewed.certificate)
            exported = read_bundle(tmp_path / "node/local")
            assert exported.certificate == node.holder.configuration.credential.certificate
            number = renewed.peer.revocation_ids[1]
            operator = Peer(OPERATOR, Category.HUMAN, "realm/ca", "", (1, 1), 0, bytes(32), bytes(32))
            realm.crl_core.revoke(RevokeRequest(revocation_ids=[first.peer.revocation_ids[1]]), operator)
            sequence = realm.crl_service.publish()
            await until(lambda: node.beliefs.sequence(REVOCATIONS) == sequence == 2)
            assert node.beliefs.trust.is_revoked(first.peer.revocation_ids[1])
            assert node.beliefs.trust.is_revoked(number) is False

    asyncio.run(main())


@pytest.mark.req("ISSUE-1", "ISSUE-3")
def test_a_service_that_is_away_delays_and_loses_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            desk = await realm.enrol("machines/desk", "desk")
            await realm.stop("signing")
            with pytest.raises(RequestRefused) as caught:
                await realm.login(desk)
            assert caught.value.status is Status.UNAVAILABLE
            assert len(realm.ca_core.issuing.unanswered()) == 1
            await realm.signing()
            await realm.ca_service.recover()
            assert realm.ca_core.issuing.unanswered() == []
            assert {certificate for certificate, _ in realm.signing_core.issued()} >= {
                certificate for _, certificate in realm.ca_core.issuing.certificates()
            }

    asyncio.run(main())


@pytest.mark.req("ISSUE-1")
def test_a_refusal_by_another_service_is_no_judgement_about_our_caller(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            desk = await realm.enrol("machines/desk", "desk")
            operator = Peer(OPERATOR, Category.HUMAN, "realm/ca", "", (1, 1), 0, bytes(32), bytes(32))
            signing = realm.machines["signing"]
            assert isinstance(signing, Machine)
            number = realm.machines["ca"].holder.configuration.credential.peer.revocation_ids[1]
            realm.crl_core.revoke(RevokeRequest(revocation_ids=[number]), operator)
            signing.beliefs.install(REVOCATIONS, realm.crl_core.publish().content)
            with pytest.raises(RequestRefused, match="the Signing Service refused: UNAUTHENTICATED") as caught:
                await realm.login(desk)
            assert caught.value.status is Status.UNAVAILABLE
            with pytest.raises(RequestRefused, match="Signing Service"):
                await realm.ca_service.recover()

    asyncio.run(main())


@pytest.mark.req("ISSUE-7", "ISSUE-9", "CRED-6", "REVOKE-4", "REVOKE-5", "TRUST-9")
def test_a_workload_from_its_scheduling_to_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            await realm.cluster()
            node = await realm.enrol("machines/node-1", "node-1")
            desk = await realm.enrol("machines/desk", "desk")
            person = realm.as_person(desk, await realm.login(desk))
            cluster = person.remote("ClusterMaster", "cluster-master")
            wrong = ScheduleRequest(request_id=bytes(16), identity="dev/a", node="machines/node-1")
            assert await refused(cluster, "Schedule", wrong) is Status.PERMISSION_DENIED
            right = ScheduleRequest(request_id=bytes(16), identity="prod/a", node="machines/node-1")
            workload = (await cluster.call("Schedule", right)).workload
            assert await refused(cluster, "Assignments", AssignmentsRequest()) is Status.PERMISSION_DENIED

            folder = tmp_path / "workloads"
            folder.mkdir(mode=0o700)
            agent = NodeAgent(folder, node.remote("ClusterMaster", "cluster-master"))
            realm.background(agent.loop(0.05))
            await until(lambda: (folder / workload / "credential").exists())
            first = read_bundle(folder / workload)
            assert first.identity == "prod/a"
            assert (await cluster.call("Rotate", RotateRequest())).epoch == 2
            await until(lambda: read_bundle(folder / workload).certificate != first.certificate)
            assert [key.epoch for key in read_bundle(folder / workload).resumption_keys] == [1, 2]
            await until(lambda: len(realm.crl_core.find("prod/a")) == 2)
            await cluster.call("Stop", StopRequest(workload=workload))
            await until(lambda: not (folder / workload).exists())
            await until(lambda: realm.machines["crl"].beliefs.sequence(REVOCATIONS) == 2)
            newest = realm.crl_core.publication()
            assert newest is not None
            _, revoked = open_revocations(newest.content, [realm.anchors.revocation_key])
            assert list(revoked) == realm.crl_core.find("prod/a"), "also what the rotation replaced"

    asyncio.run(main())


@pytest.mark.req("REVOKE-6", "TRUST-9")
def test_a_revoked_caller_is_refused_on_its_live_connection_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            desk = await realm.enrol("machines/desk", "desk")
            other = await realm.enrol("machines/other", "other")
            person = realm.as_person(other, await realm.login(other))
            crl = desk.remote("RevocationService", "crl")
            files = FetchFileRequest(kind=POLICY)
            answer = await crl.call("FetchFile", files)
            assert open_policy(answer.content, [realm.anchors.policy_key])[0].sequence == answer.sequence == 1
            binding = await crl.binding()
            operator = person.remote("RevocationService", "crl")
            number = desk.agent.credential().peer.revocation_ids[1]
            assert (await operator.call("Revoke", RevokeRequest(revocation_ids=[number]))).sequence == 2
            assert await refused(crl, "FetchFile", files) is Status.UNAUTHENTICATED
            assert await crl.binding() == binding, "the connection is the one from before"
            crl.close()
            with pytest.raises(PeerViolation) as caught:
                await crl.call("FetchFile", files)
            assert caught.value.alert_code == ErrorCode.CERTIFICATE_REVOKED

    asyncio.run(main())


@pytest.mark.req("TRUST-2", "TRUST-1")
def test_an_address_proves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            desk = await realm.enrol("machines/desk", "desk")
            realm.book.enter("ca", "{}:{}".format(*realm.book.find("crl")))
            with pytest.raises(PeerViolation) as caught:
                await desk.remote("InternalCa", "ca").binding()
            assert caught.value.code is ErrorCode.WRONG_IDENTITY

    asyncio.run(main())


@pytest.mark.req("POLICY-3", "ISSUE-2", "POLICY-2")
def test_a_person_may_have_anything_signed_and_gains_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            desk = await realm.enrol("machines/desk", "desk")
            person = realm.as_person(desk, await realm.login(desk, "mallory"))
            signing = person.remote("SigningService", "signing")
            for claimed in ("corp/mallory", "realm/ca"):
                options: Any = {"category": Category.MACHINE, "identity": "realm/ca", "lifetime": 1000}
                if claimed == "realm/ca":
                    with pytest.raises(RequestRefused, match="another requester"):
                        await request_master(signing, claimed, SYSTEM, **options)
                    continue
                master = await request_master(signing, claimed, SYSTEM, **options)
                body = master.body
                assert (body.issuer, body.identity) == ("corp/mallory", "realm/ca")
                assert not desk.beliefs.trust.policy.allows(body.issuer, Category.MACHINE, body.identity)

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_what_a_stranger_says_in_clear_goes_no_further(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.ca()  # nobody else is there, and nobody else is asked
            channel = channel_in_clear(*realm.book.find("enrolment"))
            for request in (EnrolRequest(), EnrolRequest(token_id=bytes(16), nonce=bytes(32), mac=bytes(32))):
                with pytest.raises(RequestRefused) as caught:
                    await call(channel, "Enrolment", "Enrol", request, 10)
                assert caught.value.status in (Status.INVALID_ARGUMENT, Status.UNAUTHENTICATED)
            channel.close()

    asyncio.run(main())


def test_who_waits_for_news_can_be_ended_in_the_moment_that_there_are_some() -> None:
    """Else a service that is told to end while it makes news goes on for ever."""

    async def main() -> None:
        for turns in range(4):
            news = News()
            waiting = asyncio.ensure_future(news.wait(30))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            news.tell()
            for _ in range(turns):
                await asyncio.sleep(0)
            ended = waiting.done()
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled() is not ended

    asyncio.run(main())


def test_an_internal_error_says_nothing_to_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: Any, caller: Any) -> Message:
        raise ZeroDivisionError("private detail")

    async def main() -> None:
        service = Service("Enrolment", {"Enrol": fail}, protected=False)
        server, port = await serve_in_clear(service, HOST, 0)
        channel = channel_in_clear(HOST, port)
        with pytest.raises(RequestRefused) as caught:
            await call(channel, "Enrolment", "Enrol", EnrolRequest(), 10)
        assert caught.value.status is Status.INTERNAL
        assert "private" not in caught.value.detail
        channel.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    assert "private detail" in caplog.text
