"""The cluster master: who may run what, what workloads are given, and what a rotation does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from alts import (
    Category,
    Configuration,
    Connection,
    Credential,
    Environment,
    HandshakeCompleted,
    PeerViolation,
    Resumption,
    Role,
    UsageError,
)
from alts._trust import verify_certificate
from alts.services import ClusterSettings, MayRun, RequestRefused, Status, open_bundle
from tests.impl.services_world import BINDING, CLUSTER, DAY, NODE, OPERATOR, World, ids_of, peer

if TYPE_CHECKING:
    from pathlib import Path

    from alts import Event
    from alts_schema.issuance_pb2 import CredentialBundle

CLIENT = peer(OPERATOR, Category.HUMAN)


def ready(root: Path | None = None) -> World:
    world = World(root)
    world.rotate()
    return world


def start(world: World, identity: str = "prod/backend", number: int = 1, node: str = NODE) -> str:
    return world.cluster.schedule(bytes([number]) * 16, identity, node, CLIENT)


def bundles(world: World, node: str = NODE) -> dict[str, CredentialBundle]:
    response = world.cluster.assignments(peer(node), 0)
    assert response is not None
    return {assignment.workload: assignment.credential for assignment in response.assignments}


def connect(world: World, client: Configuration, server: Configuration) -> list[HandshakeCompleted]:
    """Run a handshake; return what the server learns of its client, and the client of its server."""
    environment = Environment(world.clock, world.random)
    ends = Connection(Role.CLIENT, client, environment), Connection(Role.SERVER, server, environment)
    events: tuple[list[Event], list[Event]] = ([], [])
    ends[0].start()
    for _ in range(3):
        events[1].extend(ends[1].receive_data(ends[0].data_to_send()))
        events[0].extend(ends[0].receive_data(ends[1].data_to_send()))
    return [event for side in events for event in side if isinstance(event, HandshakeCompleted)]


@pytest.mark.req("ISSUE-7", "CRED-1", "ISSUE-2", "ISSUE-4", "REVOKE-5")
def test_a_workload_gets_a_certificate_chained_to_the_base_workload_master() -> None:
    world = ready()
    workload = start(world)
    credential, _ = open_bundle(bundles(world)[workload])
    body, master = credential.parsed.body, credential.parsed.master_body
    assert (body.identity, master.identity, master.issuer) == ("prod/backend", CLUSTER, CLUSTER)
    assert list(master.workload_identities) == ["prod/**", "dev/**"]
    verify_certificate(
        credential.certificate, world.trust(), int(world.now), role=Role.SERVER, targets=frozenset({"prod/backend"})
    )
    handshake, base = ids_of(credential)
    assert handshake != base
    assert {handshake, base} <= {number for number, _ in world.cluster.issuing.certificates()}
    world.report(world.cluster.issuing)
    assert world.crl.find("prod/backend") == [handshake]


@pytest.mark.req("ISSUE-7", "TRUST-4")
@pytest.mark.parametrize(
    ("client", "identity"),
    [("corp/mallory", "prod/backend"), ("corp/dev", "prod/backend"), (OPERATOR, "dev/backend"), (OPERATOR, "corp/x")],
)
def test_a_client_runs_only_what_it_may(client: str, identity: str) -> None:
    world = ready()
    with pytest.raises(RequestRefused) as caught:
        world.cluster.schedule(bytes(16), identity, NODE, peer(client, Category.HUMAN))
    assert caught.value.status is Status.PERMISSION_DENIED
    assert not bundles(world)
    assert world.cluster.schedule(bytes(16), "dev/backend", NODE, peer("corp/dev", Category.HUMAN))


@pytest.mark.req("ISSUE-7")
def test_the_base_master_limits_the_cluster_too() -> None:
    rules = (MayRun(OPERATOR, "**"),)
    world = World(cluster=ClusterSettings("cell-1", ("prod/**",), rules))
    world.rotate()
    with pytest.raises(RequestRefused, match="runs no workloads"):
        start(world, "corp/network-admin")


@pytest.mark.req("ISSUE-7")
def test_a_repeated_request_starts_nothing_new() -> None:
    world = ready()
    assert start(world) == start(world)
    assert len(bundles(world)) == 1
    with pytest.raises(RequestRefused) as caught:
        start(world, "prod/other")
    assert caught.value.status is Status.ALREADY_EXISTS
    for identity, node, request_id in (("a//b", NODE, bytes(16)), ("prod/a", "", bytes(16)), ("prod/a", NODE, b"")):
        with pytest.raises(RequestRefused):
            world.cluster.schedule(request_id, identity, node, CLIENT)


@pytest.mark.req("ISSUE-7", "CRED-6")
def test_a_machine_gets_its_own_workloads_and_nobody_else_does() -> None:
    world = ready()
    one, two = start(world, number=1), start(world, number=2, node="machines/node-2")
    assert list(bundles(world)) == [one]
    assert list(bundles(world, "machines/node-2")) == [two]
    assert not bundles(world, "machines/node-3")
    for category in (Category.HUMAN, Category.WORKLOAD):
        with pytest.raises(RequestRefused):
            world.cluster.assignments(peer(NODE, category), 0)


@pytest.mark.req("ISSUE-9", "CRED-3", "RES-5")
def test_workloads_of_one_identity_in_a_cell_share_resumption_keys() -> None:
    world = ready()
    names = [start(world, number=1), start(world, number=2, node="machines/node-2"), start(world, "prod/other", 3)]
    given = {**bundles(world), **bundles(world, "machines/node-2")}
    first, replica, other = (open_bundle(given[name])[1] for name in names)
    assert first is not None
    assert other is not None
    assert first == replica
    assert first.resumption_id != other.resumption_id
    assert set(first.keys.values()).isdisjoint(other.keys.values())
    assert len({given[name].private_key for name in names}) == 3
    elsewhere = World(seed=2)
    elsewhere.rotate()
    assert bundles(elsewhere) == {}
    start(elsewhere)
    assert next(iter(bundles(elsewhere).values())).resumption_id != first.resumption_id


@pytest.mark.req("ISSUE-8", "CRED-5", "CRED-6")
def test_everything_is_rotated_every_two_days() -> None:
    world = ready()
    workload = start(world)
    before, keys = open_bundle(bundles(world)[workload])
    assert keys is not None
    due = [world.cluster.rotation_due]
    world.now += 2 * DAY
    due.append(world.cluster.rotation_due)
    world.rotate()
    due.append(world.cluster.rotation_due)
    assert due == [False, True, False]
    after, new_keys = open_bundle(bundles(world)[workload])
    assert new_keys is not None
    assert after.parsed.signed.master != before.parsed.signed.master
    assert after.parsed.body.x25519_public_key != before.parsed.body.x25519_public_key
    assert set(ids_of(after)).isdisjoint(ids_of(before))
    assert new_keys.resumption_id == keys.resumption_id
    assert new_keys.epochs == [1, 2]
    assert new_keys.keys[1] == keys.keys[1]
    for credential in (before, after):  # the old one goes on until the node agent and the workload have the new one
        verify_certificate(credential.certificate, world.trust(), int(world.now), role=Role.SERVER, targets=frozenset())
    world.now += 2 * DAY
    with pytest.raises(PeerViolation):
        verify_certificate(before.certificate, world.trust(), int(world.now), role=Role.SERVER, targets=frozenset())


@pytest.mark.req("ISSUE-8", "CRED-3")
def test_a_resumption_key_outlives_its_successor_by_a_ticket() -> None:
    world = ready()
    workload = start(world)

    def epochs() -> list[int]:
        keys = open_bundle(bundles(world)[workload])[1]
        assert keys is not None
        return keys.epochs

    seen = [epochs()]
    for pause in (2 * DAY, 2 * DAY, 3600, 3600, 2 * DAY):
        world.now += pause
        world.rotate()
        seen.append(epochs())
    assert seen == [[1], [1, 2], [2, 3], [2, 3, 4], [2, 3, 4, 5], [5, 6]]
    for _ in range(12):
        world.rotate()
    assert len(epochs()) == 8


@pytest.mark.req("ISSUE-8", "ISSUE-9", "RES-5")
def test_a_session_is_resumed_across_a_rotation_by_a_replica() -> None:
    world = ready()
    one, two = start(world, number=1), start(world, number=2, node="machines/node-2")
    client_name = start(world, "prod/frontend", 3)

    def endpoint(name: str, resumption: Resumption) -> Configuration:
        given = {**bundles(world), **bundles(world, "machines/node-2")}
        credential, resumption.keys = open_bundle(given[name])
        return Configuration(credential, world.trust(), resumption=resumption)

    client = Resumption()

    def call(name: str) -> str:
        configuration = dataclasses.replace(
            endpoint(client_name, client), target_identities=frozenset({"prod/backend"})
        )
        completed = connect(world, configuration, endpoint(name, Resumption()))
        assert [event.peer.identity for event in completed] == ["prod/backend", "prod/frontend"]
        return completed[0].negotiated.mode

    assert call(one) == "full"
    assert call(two) == "client_ticket"
    world.now += 3600
    world.rotate()
    assert call(one) == "client_ticket"
    world.now += 2 * DAY
    world.rotate()
    assert call(two) == "full", "no ticket is older than a day"


@pytest.mark.req("CRED-6", "REVOKE-5")
def test_a_stopped_workload_is_gone_and_revoked() -> None:
    world = ready()
    workload = start(world)
    credential: Credential = open_bundle(bundles(world)[workload])[0]
    with pytest.raises(RequestRefused):
        world.cluster.stop(workload, peer("corp/mallory", Category.HUMAN))
    with pytest.raises(RequestRefused) as caught:
        world.cluster.stop("none", CLIENT)
    assert caught.value.status is Status.NOT_FOUND
    world.cluster.stop(workload, CLIENT)
    assert not bundles(world)
    world.report(world.cluster.issuing)
    assert world.is_revoked(ids_of(credential)[0])
    assert not world.is_revoked(ids_of(credential)[1])
    world.rotate()
    assert not bundles(world), "a rotation does not bring it back"


@pytest.mark.req("ISSUE-8")
def test_only_an_operator_has_everything_rotated() -> None:
    world = ready()
    world.cluster.require_operator(CLIENT)
    with pytest.raises(RequestRefused):
        world.cluster.require_operator(peer("corp/mallory", Category.HUMAN))


@pytest.mark.req("ISSUE-7", "ISSUE-8")
def test_without_a_base_master_or_with_an_expired_one_nothing_is_started() -> None:
    world = World()
    world.refill(world.cluster.issuing)
    for pause in (0, 4 * DAY):
        world.now += pause
        with pytest.raises(RequestRefused) as caught:
            start(world)
        assert caught.value.status is Status.UNAVAILABLE
        if not pause:
            world.rotate()
    world.rotate()
    start(world)


@pytest.mark.req("ISSUE-8")
def test_an_answer_that_comes_too_late_is_no_rotation() -> None:
    world = ready()
    workload = start(world)
    world.refill(world.cluster.issuing, world.cluster.ids_needed)
    world.now += 2 * DAY
    pending = world.cluster.begin_rotation(BINDING)
    certificate = world.sign(world.cluster.issuing, pending)
    world.now += 5 * DAY
    world.cluster.complete_rotation(pending, certificate)
    assert world.cluster.rotation_due, "the base master that came has expired"
    world.rotate()
    credential = open_bundle(bundles(world)[workload])[0]
    verify_certificate(credential.certificate, world.trust(), int(world.now), role=Role.SERVER, targets=frozenset())


def accepted(world: World, workload: str) -> bool:
    credential = open_bundle(bundles(world)[workload])[0]
    try:
        verify_certificate(credential.certificate, world.trust(), int(world.now), role=Role.SERVER, targets=frozenset())
    except PeerViolation:
        return False
    return True


@pytest.mark.req("ISSUE-8", "CRED-6", "REVOKE-2")
@pytest.mark.parametrize("jump", [2 * DAY, 30 * DAY, 4000 * DAY])
def test_a_clock_that_was_ahead_delays_no_rotation(jump: int) -> None:
    world = ready()
    workload = start(world)
    world.now += jump
    due = [world.cluster.rotation_due]
    world.rotate()
    world.now -= jump
    due.append(world.cluster.rotation_due)
    with pytest.raises(RequestRefused) as caught:
        start(world, number=2)
    assert caught.value.status is Status.UNAVAILABLE
    world.rotate()
    due.append(world.cluster.rotation_due)
    assert accepted(world, workload)
    assert accepted(world, start(world, number=2))
    world.now += 2 * DAY
    due.append(world.cluster.rotation_due)
    assert due == [True, True, False, True]


@pytest.mark.req("ISSUE-8", "CRED-6")
def test_a_clock_that_is_a_little_behind_changes_nothing() -> None:
    world = ready()
    workload = start(world)
    world.now -= 300
    assert not world.cluster.rotation_due
    assert accepted(world, workload)
    assert accepted(world, start(world, number=2))


@pytest.mark.req("ISSUE-8", "CRED-6", "REVOKE-2")
def test_a_rotation_begun_by_a_clock_ahead_gives_nobody_what_is_not_valid() -> None:
    world = ready()
    workload = start(world)
    before = bundles(world)[workload].certificate
    world.refill(world.cluster.issuing, world.cluster.ids_needed)
    world.now += 30 * DAY
    pending = world.cluster.begin_rotation(BINDING)
    certificate = world.sign(world.cluster.issuing, pending)
    world.now -= 30 * DAY
    world.cluster.complete_rotation(pending, certificate)
    assert bundles(world)[workload].certificate == before
    assert accepted(world, workload)
    assert world.cluster.rotation_due
    world.rotate()
    assert bundles(world)[workload].certificate != before
    assert accepted(world, workload)


@pytest.mark.req("ISSUE-8")
def test_a_rotation_that_fails_changes_nothing() -> None:
    world = World()
    world.cluster.issuing.add_range(world.crl.grant(8, peer(CLUSTER)))
    pending = world.cluster.begin_rotation(BINDING)
    world.cluster.complete_rotation(pending, world.sign(world.cluster.issuing, pending))
    for number in range(1, 5):
        start(world, number=number)
    before = bundles(world)
    assert world.cluster.ids_needed > world.cluster.issuing.free
    pending = world.cluster.begin_rotation(BINDING)
    certificate = world.sign(world.cluster.issuing, pending)
    with pytest.raises(RequestRefused) as caught:
        world.cluster.complete_rotation(pending, certificate)
    assert caught.value.status is Status.UNAVAILABLE
    assert bundles(world) == before
    world.refill(world.cluster.issuing, 64)
    world.cluster.complete_rotation(pending, certificate)
    assert all(bundles(world)[name].certificate != bundle.certificate for name, bundle in before.items())


@pytest.mark.req("ISSUE-7", "ISSUE-9")
def test_everything_is_still_there_after_a_restart(tmp_path: Path) -> None:
    world = ready(tmp_path)
    start(world)
    before = bundles(world)
    world.close()
    world = World(tmp_path, seed=2)
    assert bundles(world) == before
    assert not world.cluster.rotation_due
    start(world, number=2)
    numbers = [ids_of(open_bundle(bundle)[0])[0] for bundle in bundles(world).values()]
    assert len(set(numbers)) == 2
    world.close()


def test_rules_are_patterns() -> None:
    with pytest.raises(UsageError):
        MayRun("corp/*x", "prod/**")
