"""A small realm of service cores for tests: no network, a clock that tests turn, seeded randomness."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from alts import Category, Credential, Peer, Policy, Rule, Trust
from alts.services import (
    AgentCore,
    AgentSettings,
    CaCore,
    CaSettings,
    ClusterCore,
    ClusterSettings,
    Cost,
    CrlCore,
    CrlSettings,
    Issuing,
    MayRun,
    Pending,
    SigningCore,
    prove_machine,
)
from alts.services._issuers import RANGE
from alts_schema.issuance_pb2 import ReportRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = 1_800_000_000
DAY = 86400
CA, CLUSTER, OPERATOR, NODE = "realm/ca", "realm/cluster-master", "corp/olga", "machines/node-1"
FOUNDING = "realm/founding"
BINDING = bytes(range(32))
CHEAP = Cost(n=2, r=8, p=1)


def compile_plainly(ids: Sequence[int], sequence: int, now: int) -> bytes:
    """Stand in for the revocation file: what the CRL core decides is what these tests are about."""
    return repr((list(ids), sequence, now)).encode()


def peer(identity: str, category: Category = Category.MACHINE, master_id: int = 0, issuer: str = CA) -> Peer:
    """Return an authenticated caller."""
    return Peer(identity, category, issuer, "", (master_id, master_id), 0, bytes(32), bytes(32))


class World:
    """Cores of one realm.

    Args:
        root: directory of the databases; None: in memory.
        seed: of all randomness.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        seed: int = 1,
        now: float = NOW,
        ca: CaSettings | None = None,
        cluster: ClusterSettings | None = None,
    ) -> None:
        self.now = now
        self.root = root
        self.random = random.Random(seed).randbytes
        self.signing = SigningCore(self._path("signing"), self.clock, self.random)
        crl = CrlSettings((CA, CLUSTER), (OPERATOR,), ca=CA)
        self.crl = CrlCore(self._path("crl"), self.clock, compile_plainly, crl)
        self.ca = CaCore(self._path("ca"), CA, self.clock, self.random, ca or CaSettings(cost=CHEAP, founding=FOUNDING))
        rules = (MayRun(OPERATOR, "prod/**"), MayRun("corp/dev", "dev/**"))
        settings = cluster or ClusterSettings("cell-1", ("prod/**", "dev/**"), rules, (OPERATOR,))
        self.cluster = ClusterCore(self._path("cluster"), CLUSTER, self.clock, self.random, settings)

    def clock(self) -> float:
        """The injected clock."""
        return self.now

    def _path(self, name: str) -> Path | None:
        return None if self.root is None else self.root / f"{name}.sqlite"

    def refill(self, issuing: Issuing, count: int = 1) -> None:
        """Have the CRL service grant a range if fewer than `count` IDs are left."""
        if issuing.free < count:
            issuing.add_range(self.crl.grant(max(RANGE, count), peer(issuing.name)))

    def sign(self, issuing: Issuing, pending: Pending) -> bytes:
        """Take a request to the Signing Service, as its issuer."""
        return pending.certificate or self.signing.sign(pending.request, issuing.name).certificate

    def report(self, issuing: Issuing) -> None:
        """Report what is to be reported."""
        while mappings := issuing.unreported():
            self.crl.report(ReportRequest(mappings=mappings), peer(issuing.name))
            issuing.reported(mappings)

    def enrol(self, identity: str = NODE, settings: AgentSettings | None = None, path: Path | None = None) -> AgentCore:
        """Return the agent of a machine that has enrolled."""
        agent = AgentCore(path, self.clock, self.random, settings)
        token = self.ca.add_token(identity)
        new, request = agent.enrol_request(token, CA)
        self.refill(self.ca.issuing)
        pending = self.ca.enrol(request)
        signed = self.ca.complete(pending, self.sign(self.ca.issuing, pending))
        agent.enrolled(token, new, request, self.ca.enrolled(request, signed.certificate), CA)
        return agent

    def renew(self, agent: AgentCore) -> None:
        """Renew a machine's master certificate, over a connection made with its present one."""
        credential = agent.credential()
        new = agent.new_key(credential.identity)
        self.refill(self.ca.issuing)
        pending = self.ca.renew_machine(prove_machine(new, CA, BINDING), credential.peer, BINDING)
        agent.install(new, self.ca.complete(pending, self.sign(self.ca.issuing, pending)).certificate, CA)

    def rotate(self) -> int:
        """Rotate the cluster's base master and everything under it."""
        self.refill(self.cluster.issuing, self.cluster.ids_needed)
        pending = self.cluster.begin_rotation(BINDING)
        return self.cluster.complete_rotation(pending, self.sign(self.cluster.issuing, pending))

    def trust(self, policy: Policy | None = None) -> Trust:
        """Return what every machine of this realm believes; revocations are the CRL service's newest file's."""
        rules = (
            Rule(CA, Category.MACHINE, "**"),
            Rule(CA, Category.HUMAN, "corp/*"),
            Rule(CLUSTER, Category.WORKLOAD, "**"),
        )
        key = self.signing.verification_key
        return Trust({hashlib.sha256(key).digest(): key}, policy or Policy(rules), self.is_revoked)

    def is_revoked(self, number: int) -> bool:
        """Look it up in the newest file."""
        publication = self.crl.publish()
        return number in self.revoked(publication.content)

    @staticmethod
    def revoked(content: bytes) -> list[int]:
        """Return the IDs of a file made by `compile_plainly`."""
        text = content.decode()
        return [int(word) for word in text[2 : text.index("]")].split(",") if word.strip()]

    def close(self) -> None:
        """Close all databases."""
        for core in (self.signing, self.crl, self.ca, self.cluster):
            core.close()


def ids_of(credential: Credential) -> tuple[int, int]:
    """Return the revocation IDs of handshake and master certificate."""
    return credential.peer.revocation_ids
