"""Years of a realm's life in seconds: machines, people and workloads, rotated, renewed, revoked, by a turned clock."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts import Category, Configuration, Credential, MasterKey, PeerViolation, Resumption, Role
from alts._trust import verify_certificate
from alts.services import make_credential, open_bundle, prove, totp_code
from alts_schema.issuance_pb2 import LoginRequest, RevokeRequest
from tests.impl.services_world import BINDING, CA, DAY, NODE, NOW, OPERATOR, World, ids_of, peer
from tests.impl.test_services_cluster import CLIENT, connect

if TYPE_CHECKING:
    from alts import Peer

YEARS = 2
HOUR = 3600


class Life:
    """A realm that is lived in: every step does what is due, as the processes would, and checks what must hold."""

    def __init__(self) -> None:
        self.world = World(seed=5)
        self.machines = [self.world.enrol(f"machines/node-{number}") for number in range(3)]
        self.secret = self.world.ca.add_user("olga", "corp/olga", "correct horse battery staple")
        self.world.rotate()
        self.frontend = Resumption()
        self.replicas = [Resumption(), Resumption()]
        self.started = 0
        for identity in ("prod/backend", "prod/backend", "prod/frontend"):
            self.start(identity)
        self.ids: dict[int, bytes] = {}
        self.modes: dict[str, int] = {}
        self.renewals = self.rotations = 0

    def start(self, identity: str) -> None:
        self.started += 1
        self.world.refill(self.world.cluster.issuing)
        self.world.cluster.schedule(self.started.to_bytes(16, "big"), identity, NODE, CLIENT)

    def keep_up(self) -> None:
        """Do everything that is due."""
        world = self.world
        for agent in self.machines:
            if agent.renewal_due:
                world.renew(agent)
                self.renewals += 1
        if world.cluster.rotation_due:
            world.rotate()
            self.rotations += 1
        for issuing in (world.ca.issuing, world.cluster.issuing):
            world.report(issuing)
        world.crl.publish()

    def login(self) -> Credential:
        """Log in, as a human does every day."""
        world = self.world
        key = Ed25519PrivateKey.from_private_bytes(world.random(32))
        proven = prove(key, category=Category.HUMAN, identity="corp/olga", requester=CA, binding=BINDING)
        request = LoginRequest(name="olga", second_factor=totp_code(self.secret, int(world.now)), key=proven)
        world.refill(world.ca.issuing)
        pending = world.ca.login(request, peer("machines/desk"), BINDING, password_right=True)
        certificate = world.ca.complete(pending, world.sign(world.ca.issuing, pending)).certificate
        return make_credential(MasterKey(certificate, key), world.random, int(world.now), lifetime=0)

    def workloads(self) -> list[Configuration]:
        """Return the workloads' endpoints with what the node agent has for them: frontend, and two backends."""
        response = self.world.cluster.assignments(peer(NODE), 0)
        assert response is not None
        given = sorted((a.workload, a.credential) for a in response.assignments)
        configurations = []
        for (_, bundle), resumption in zip(given, [*self.replicas, self.frontend], strict=True):
            credential, resumption.keys = open_bundle(bundle)
            configurations.append(Configuration(credential, self.world.trust(), resumption=resumption))
        return configurations

    def check(self, human: Credential) -> None:
        """All that is in use is accepted; no two certificates have one ID."""
        world = self.world
        *backends, frontend = self.workloads()
        frontend = dataclasses.replace(frontend, target_identities=frozenset({"prod/backend"}))
        for backend in backends:
            completed = connect(world, frontend, backend)
            assert [event.peer.identity for event in completed] == ["prod/backend", "prod/frontend"]
            mode = completed[0].negotiated.mode
            self.modes[mode] = self.modes.get(mode, 0) + 1
        for agent in self.machines:
            self.accepted(agent.credential(), Role.SERVER)
        self.accepted(human, Role.CLIENT)

    def accepted(self, credential: Credential, role: Role) -> None:
        """A verifier accepts it now."""
        world = self.world
        verify_certificate(credential.certificate, world.trust(), int(world.now), role=role, targets=frozenset())

    def no_id_twice(self) -> int:
        """Return how many certificates issuers know; each has an ID of its own, which the CRL service knows."""
        known = [*self.world.ca.issuing.certificates(), *self.world.cluster.issuing.certificates()]
        assert len({number & (1 << 56) - 1 for number, _ in known}) == len(known)
        assert len({certificate for _, certificate in known}) == len(known)
        for issuing in (self.world.ca.issuing, self.world.cluster.issuing):
            self.world.report(issuing)
        assert all(self.world.crl.mapping(number) for number, _ in known)
        return len(known)


@pytest.mark.req("ISSUE-5", "ISSUE-6", "ISSUE-8", "CRED-5", "CRED-6", "REVOKE-2", "REVOKE-3", "REVOKE-4")
def test_years_without_an_outage() -> None:
    life, chance = Life(), random.Random(11)
    end = NOW + YEARS * 365 * DAY
    while life.world.now < end:
        life.keep_up()
        human = life.login()
        life.check(human)
        life.world.now += chance.choice([HOUR, 5 * HOUR, 19 * HOUR, DAY, 2 * DAY])
    days = YEARS * 365
    assert days / 4 < life.rotations <= days / 2, "about every two days, as often as somebody looked"
    assert 3 * (YEARS * 4 - 2) <= life.renewals <= 3 * (YEARS * 4 + 1), "every three months"
    assert life.modes["full"] > 0 < life.modes["client_ticket"]
    assert life.no_id_twice() > 3 * life.rotations


@pytest.mark.req("REVOKE-2", "ISSUE-8")
def test_a_cluster_master_that_was_away_for_a_day_and_a_half_causes_no_outage() -> None:
    life = Life()
    life.world.now += int(3.5 * DAY)
    human = life.login()
    life.check(human)
    life.keep_up()
    life.check(human)
    life.world.now += 4 * DAY + 1
    human = life.login()
    with pytest.raises(AssertionError):  # no handshake completes
        life.check(human)
    life.keep_up()
    life.check(human)


@pytest.mark.req("REVOKE-6", "REVOKE-7", "ISSUE-6")
def test_a_revoked_machine_is_out_until_it_enrols_again() -> None:
    life = Life()
    agent = life.machines[0]
    number = ids_of(agent.credential())[1]
    operator: Peer = peer(OPERATOR, Category.HUMAN)
    life.world.crl.revoke(RevokeRequest(revocation_ids=[number]), operator)
    with pytest.raises(PeerViolation) as caught:
        life.accepted(agent.credential(), Role.SERVER)
    assert caught.value.code.name == "CERTIFICATE_REVOKED"
    life.world.now += 7 * DAY
    with pytest.raises(PeerViolation):
        life.accepted(agent.credential(), Role.SERVER)
    life.accepted(life.world.enrol("machines/node-0").credential(), Role.SERVER)
