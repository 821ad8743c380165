"""Replaced master certificates are revoked, also those of the founding; and nobody has another's revoked that way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alts import Category
from alts.services import AgentCore, AgentSettings, CrlCore, CrlSettings, Machine, RequestRefused, Status, prove_machine
from alts.services._crl import FIRST_ID
from alts.services.cli import SYSTEM
from alts_schema.issuance_pb2 import Mapping, ReportRequest
from tests.impl.aio_tools import until
from tests.impl.services_realm import realm_at
from tests.impl.services_world import BINDING, CA, CLUSTER, DAY, FOUNDING, NODE, World, compile_plainly, peer

if TYPE_CHECKING:
    from pathlib import Path

    from alts import Peer

FIRST = Category.MACHINE << 56 | 1


def renew(world: World, caller: Peer) -> None:
    """Renew the machine that calls, and report."""
    world.refill(world.ca.issuing)
    new = AgentCore(None, world.clock, world.random).new_key(caller.identity)
    pending = world.ca.renew_machine(prove_machine(new, CA, BINDING), caller, BINDING)
    world.ca.complete(pending, world.sign(world.ca.issuing, pending))
    world.report(world.ca.issuing)


@pytest.mark.req("ISSUE-6", "REVOKE-2", "REVOKE-4")
def test_a_master_of_the_founding_is_revoked_a_week_after_it_was_replaced() -> None:
    world = World()
    renew(world, peer("realm/signing", master_id=FIRST, issuer=FOUNDING))
    assert not world.is_revoked(FIRST)
    world.now += 7 * DAY
    assert world.is_revoked(FIRST)
    assert not world.is_revoked(FIRST + 1)


@pytest.mark.req("REVOKE-4", "POLICY-2")
def test_an_id_in_anothers_certificate_revokes_nobody() -> None:
    world = World()
    number = world.enrol().credential().peer.revocation_ids[1]
    for caller in (
        peer("lab/x", master_id=FIRST, issuer="lab/issuer"),
        peer("lab/x", master_id=FIRST),
        peer("lab/x", master_id=number, issuer="lab/issuer"),
        peer("lab/x", master_id=number, issuer=FOUNDING),
        peer("lab/x", master_id=Category.HUMAN << 56 | 1, issuer=FOUNDING),
        peer("lab/x", master_id=Category.MACHINE << 56 | FIRST_ID, issuer=FOUNDING),
    ):
        renew(world, caller)
    world.now += 8 * DAY
    assert world.revoked(world.crl.publish(force=True).content) == []
    renew(world, peer(NODE, master_id=number))
    world.now += 8 * DAY
    assert world.revoked(world.crl.publish().content) == [number]


@pytest.mark.req("REVOKE-4")
def test_only_the_ca_has_certificates_of_the_founding_revoked_with_a_report() -> None:
    world = World()
    nobody = CrlCore(None, world.clock, compile_plainly, CrlSettings((CA, CLUSTER)))
    for crl, issuer, replaces in (
        (world.crl, CLUSTER, FIRST),
        (world.crl, CA, Category.MACHINE << 56),
        (world.crl, CA, Category.MACHINE << 56 | FIRST_ID - 1 | 1 << 40),
        (world.crl, CA, Category.HUMAN << 56 | 1),
        (nobody, CA, FIRST),
    ):
        first = crl.grant(10, peer(issuer)).first
        mapping = Mapping(
            revocation_id=Category.MACHINE << 56 | first,
            certificate_digest=bytes(32),
            identity="m/a",
            replaces=replaces,
        )
        with pytest.raises(RequestRefused) as caught:
            crl.report(ReportRequest(mappings=[mapping]), peer(issuer))
        assert caught.value.status is Status.PERMISSION_DENIED
        assert crl.mapping(mapping.revocation_id) is None


@pytest.mark.req("ISSUE-6", "REVOKE-4", "REVOKE-7")
def test_the_signing_service_renews_itself_and_the_crl_service_hears_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            realm.background(realm.ca_link.keep_reporting(0.05))
            await realm.stop("signing")
            realm.machines["signing"].close()
            settings = AgentSettings(master_rotation=1)
            signing = Machine(tmp_path / "realm/signing", SYSTEM, realm.book, settings)
            realm.machines["signing"] = signing
            await realm.signing()
            first = signing.holder.configuration.credential.peer
            assert first.revocation_ids == (FIRST, FIRST)
            realm.background(signing.keep_credentials(0.05))
            await until(lambda: signing.holder.configuration.credential.peer.issuer == "realm/ca")
            await until(lambda: (FIRST,) in realm.crl_core._store.rows("SELECT revocation_id FROM revoked"))

    asyncio.run(main())
