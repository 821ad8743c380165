"""A workload that is stopped: all certificates that it ever had are revoked, but those that have expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alts import Credential, PeerViolation, Role
from alts._trust import verify_certificate
from alts.services import open_bundle
from alts.services._cluster import _SCHEMA
from tests.impl.services_world import DAY, World, ids_of
from tests.impl.test_services_cluster import CLIENT, accepted, bundles, ready, start

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.req("CRED-6", "REVOKE-1", "REVOKE-5", "ISSUE-8")
def test_what_a_rotation_replaced_is_revoked_too_when_the_workload_stops() -> None:
    world = ready()
    workload, other = start(world), start(world, number=2)
    had: list[Credential] = []
    for pause in (0, 60, 2 * DAY, 2 * DAY, 60):
        world.now += pause
        if pause:
            world.rotate()
        had.append(open_bundle(bundles(world)[workload])[0])
    kept = bundles(world)[other]
    world.cluster.stop(workload, CLIENT)
    world.report(world.cluster.issuing)
    revoked = [world.is_revoked(ids_of(credential)[0]) for credential in had]
    assert revoked == [True, True, True, True, True]
    for credential in had:
        with pytest.raises(PeerViolation):
            verify_certificate(
                credential.certificate, world.trust(), int(world.now), role=Role.SERVER, targets=frozenset()
            )
    assert bundles(world) == {other: kept}
    assert accepted(world, other)
    world.cluster.stop(workload, CLIENT)
    world.report(world.cluster.issuing)
    assert accepted(world, other)


@pytest.mark.req("CRED-6", "REVOKE-5")
def test_what_has_expired_is_not_revoked_and_what_may_not_have_for_others_is() -> None:
    world = ready()
    workload = start(world)
    first = open_bundle(bundles(world)[workload])[0]
    world.now += 2 * DAY
    world.rotate()
    second = open_bundle(bundles(world)[workload])[0]
    world.now = first.peer.not_after + 300
    world.rotate()
    world.cluster.stop(workload, CLIENT)
    world.report(world.cluster.issuing)
    assert [world.is_revoked(ids_of(credential)[0]) for credential in (first, second)] == [False, True]
    world = ready()
    workload = start(world)
    first = open_bundle(bundles(world)[workload])[0]
    world.now = first.peer.not_after + 299
    world.rotate()
    world.cluster.stop(workload, CLIENT)
    world.report(world.cluster.issuing)
    assert world.is_revoked(ids_of(first)[0])


@pytest.mark.req("CRED-6", "REVOKE-5")
def test_a_database_from_before_revokes_what_it_knows_of(tmp_path: Path) -> None:
    world = ready(tmp_path)
    workload = start(world)
    world.cluster.stop(start(world, number=2), CLIENT)
    first = open_bundle(bundles(world)[workload])[0]
    with world.cluster._store.write() as tx:  # as it was before certificates were kept by workload
        tx.execute("DROP TABLE workload_ids")
        tx.execute(f"PRAGMA user_version = {len(_SCHEMA) - 3}")
    world.close()
    world = World(tmp_path, seed=2)
    world.now += 60
    world.rotate()
    second = open_bundle(bundles(world)[workload])[0]
    world.cluster.stop(workload, CLIENT)
    world.report(world.cluster.issuing)
    assert all(world.is_revoked(ids_of(credential)[0]) for credential in (first, second))
    world.close()
