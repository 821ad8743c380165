"""The small world that the explorer searches: a realm, an attacker's arsenal, and protocol sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from alts_model import terms
from alts_model.connection import Party
from alts_model.errors import Refused
from alts_model.knowledge import Knowledge
from alts_model.messages import HUMAN, MACHINE, WORKLOAD
from alts_model.symbolic import handshake_certificate, master_certificate, verification_key_id
from alts_model.tables import Role
from alts_model.terms import Term, const, name, public
from alts_model.trust import PolicyRule, Trust
from alts_model.weakening import WeakMachine

NOW: Final = 1000
CIPHERS: Final = ("X25519_STATIC_SHA256",)
RECORDS: Final = ("ALTSRP_GCM_AES128_REKEY",)
APPLICATIONS: Final = ("grpc", "plain")
FRAME_SIZES: Final = (1048576, 16384)
RPC: Final = ((2, 1), (2, 1))

FRONTEND: Final = "prod/frontend"
BACKEND: Final = "prod/backend"
MALLORY: Final = "prod/mallory"
EVE: Final = "people/eve"
HONEST: Final = (FRONTEND, BACKEND)


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One protocol session: `name` (c1, s2, ...), role, whose it is, and the targets that its application names."""

    name: str
    role: Role
    identity: str
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A name, a sentence, the sessions of both roles."""

    name: str
    text: str
    sessions: tuple[SessionPlan, ...]


def scenarios(sessions: int) -> tuple[Scenario, ...]:
    """The scenarios that are explored, with so many sessions a role."""
    one_way = [(FRONTEND, frozenset({BACKEND}) if index % 2 == 0 else frozenset[str]()) for index in range(sessions)]
    crossed = [
        (FRONTEND, frozenset({BACKEND})) if index % 2 == 0 else (BACKEND, frozenset[str]()) for index in range(sessions)
    ]
    crossed_servers = [BACKEND if index % 2 == 0 else FRONTEND for index in range(sessions)]
    return (
        Scenario(
            "replicas",
            f"{sessions} clients of {FRONTEND} (every other one names no target), {sessions} replicas of {BACKEND}",
            _plans(one_way, [BACKEND] * sessions),
        ),
        Scenario(
            "crossed",
            f"both identities as client and as server, {sessions} sessions a role",
            _plans(crossed, crossed_servers),
        ),
    )


def _plans(clients: list[tuple[str, frozenset[str]]], servers: list[str]) -> tuple[SessionPlan, ...]:
    plans = [
        SessionPlan(f"c{index}", "client", identity, targets) for index, (identity, targets) in enumerate(clients, 1)
    ]
    plans += [SessionPlan(f"s{index}", "server", identity, frozenset()) for index, identity in enumerate(servers, 1)]
    return tuple(plans)


class World:
    """Keys, certificates, trust, and what the attacker holds at the start. Names of terms are for the reader."""

    def __init__(self) -> None:
        self.signing_key = name("signing-key")
        self.labels: dict[Term, str] = {}
        self._next = 0
        trusted = public(self.signing_key)
        self.anchors = {verification_key_id(trusted): trusted}
        self.policy = (
            PolicyRule("prod/ca", MACHINE, "prod/*"),
            PolicyRule("prod/cluster", WORKLOAD, "**"),
            PolicyRule("people/ca", HUMAN, "people/*"),
        )
        self.private_keys = {identity: name(f"dh-key({identity})") for identity in HONEST}
        self.masters: dict[str, Term] = {}
        self.certificates: dict[str, Term] = {}
        for identity in HONEST:
            self._issue_honest(identity)
        # A renewal: the same identity and key, but the machine has moved to another boundary.
        self.renewed = self._handshake("renewed certificate of prod/frontend", FRONTEND, boundary="dc2")
        self.attacker_dh = name("dh-key(attacker)")
        self.attacker_signing = name("signing-key(attacker)")
        self.attacker_nonce = name("nonce(attacker)")
        self.attacker_ticket = name("ticket(attacker)")
        self.junk = name("junk")
        self.revoked = frozenset[int]()
        initial = [*self.certificates.values(), self.renewed, *self._arsenal()]
        initial += [self.attacker_dh, self.attacker_signing, self.attacker_nonce, self.attacker_ticket, self.junk]
        self.knowledge = Knowledge(initial)

    def trust(self, targets: frozenset[str]) -> Trust[Term]:
        """What every honest verifier goes by."""
        return Trust(self.anchors, self.policy, self.revoked, NOW, targets)

    def party(self, machine: WeakMachine, plan: SessionPlan) -> Party[Term]:
        """The honest party of a session. Its nonce is fresh unless the machine is without fresh nonces."""
        fresh = not machine.without & {"nonces", f"{plan.role}-nonce"}
        return Party(
            self.certificates[plan.identity],
            machine.algebra.certificate(self.certificates[plan.identity]),
            self.private_keys[plan.identity],
            self.trust(plan.targets),
            CIPHERS,
            RECORDS,
            APPLICATIONS,
            RPC,
            FRAME_SIZES[0],
            name(f"nonce({plan.name})") if fresh else const("the nonce"),
        )

    def certificates_of_the_attacker(self) -> tuple[Term, ...]:
        """Every handshake certificate that the attacker may send, built once; which are accepted is for verifiers.

        All known ones; and every one over a known or attacker-made master, an identity of the realm, a public key of
        the realm or of the attacker or a point of low order, signed with the master's key where the attacker has it,
        else with a key of the attacker's.
        """
        made = dict.fromkeys(sorted(self._known_certificates(), key=lambda term: term.serial))
        points = {
            "the attacker's key": public(self.attacker_dh),
            **{f"the key of {identity}": public(key) for identity, key in self.private_keys.items()},
            "a point of low order": terms.LOW_ORDER_POINT,
        }
        for label, master, key, category in self._signable:
            for identity in (*HONEST, MALLORY):
                for point_label, point in points.items():
                    certificate = handshake_certificate(
                        key,
                        master,
                        category=category,
                        identity=identity,
                        public_key=point,
                        revocation_id=category << 56 | 0xFFFF,
                        ciphers=CIPHERS,
                    )
                    text = f"certificate of {identity} with {point_label}, made by the attacker from {label}"
                    self.labels.setdefault(certificate, text)
                    made[certificate] = None
        return tuple(made)

    def _known_certificates(self) -> Iterator[Term]:
        return (term for term in self.knowledge.known if term.op == "certificate")

    def _id(self, category: int) -> int:
        self._next += 1
        return category << 56 | self._next

    def _issue_honest(self, identity: str) -> None:
        self.masters[identity] = master_certificate(
            self.signing_key,
            category=MACHINE,
            identity=identity,
            issuer="prod/ca",
            public_key=public(name(f"master-key({identity})")),
            revocation_id=self._id(MACHINE),
            ciphers=CIPHERS,
        )
        self.certificates[identity] = self._handshake(f"certificate of {identity}", identity)

    def _handshake(
        self,
        label: str,
        identity: str,
        *,
        boundary: str = "dc1",
        not_after: int = 0,
        private_key: Term | None = None,
        revocation_id: int | None = None,
    ) -> Term:
        certificate = handshake_certificate(
            name(f"master-key({identity})"),
            self.masters[identity],
            category=MACHINE,
            identity=identity,
            public_key=public(self.private_keys[identity] if private_key is None else private_key),
            revocation_id=self._id(MACHINE) if revocation_id is None else revocation_id,
            ciphers=CIPHERS,
            boundary=boundary,
            not_after=not_after,
        )
        self.labels[certificate] = label
        return certificate

    def _arsenal(self) -> Iterator[Term]:
        """What has been stolen or misissued. Each piece is stopped by one check of SPEC.md 4.9."""
        self._signable: list[tuple[str, Term, Term, int]] = []
        stolen = self._attacker_master(self.signing_key, MALLORY, "prod/ca")
        self._signable.append(("the stolen master of prod/mallory", stolen, self.attacker_signing, MACHINE))
        misissued = self._attacker_master(self.signing_key, FRONTEND, "people/mallory")
        self._signable.append(
            ("a master for prod/frontend with issuer people/mallory", misissued, self.attacker_signing, MACHINE)
        )
        rooted = self._attacker_master(self.attacker_signing, FRONTEND, "prod/ca")
        self._signable.append(
            ("a master for prod/frontend under a root of the attacker's", rooted, self.attacker_signing, MACHINE)
        )
        forged = self._attacker_master(
            self.attacker_signing, FRONTEND, "prod/ca", key_id=verification_key_id(public(self.signing_key))
        )
        self._signable.append(
            ("a master for prod/frontend with a false signature", forged, self.attacker_signing, MACHINE)
        )
        workload = self._attacker_master(
            self.signing_key, "dev/worker", "prod/cluster", category=WORKLOAD, patterns=("dev/*",)
        )
        self._signable.append(("the stolen workload master of dev/*", workload, self.attacker_signing, WORKLOAD))
        # The master of prod/frontend is public; the attacker lacks its key and signs with its own.
        self._signable.append(
            (
                "the master of prod/frontend, with a false signature",
                self.masters[FRONTEND],
                self.attacker_signing,
                MACHINE,
            )
        )
        yield from (stolen, misissued, rooted, forged, workload)
        old_key, ancient_key = name("dh-key(old, leaked)"), name("dh-key(ancient, leaked)")
        revoked_id = self._id(MACHINE)
        self.revoked = frozenset({revoked_id})
        yield self._handshake(
            "revoked certificate of prod/frontend", FRONTEND, private_key=old_key, revocation_id=revoked_id
        )
        yield self._handshake(
            "expired certificate of prod/frontend", FRONTEND, private_key=ancient_key, not_after=NOW - 1
        )
        yield from (old_key, ancient_key)
        human_id = self._id(HUMAN)
        human = self._attacker_master(
            self.signing_key, EVE, "people/ca", category=HUMAN, revocation_id=human_id, not_after=NOW + 60
        )
        certificate = handshake_certificate(
            self.attacker_signing,
            human,
            category=HUMAN,
            identity=EVE,
            public_key=public(self.attacker_dh),
            revocation_id=human_id,
            ciphers=CIPHERS,
            not_after=NOW + 60,
        )
        self.labels[certificate] = "certificate of the human people/eve, who works for the attacker"
        yield certificate

    def _attacker_master(
        self,
        signing_key: Term,
        identity: str,
        issuer: str,
        *,
        category: int = MACHINE,
        patterns: tuple[str, ...] = (),
        key_id: Term | None = None,
        revocation_id: int | None = None,
        not_after: int = 0,
    ) -> Term:
        return master_certificate(
            signing_key,
            category=category,
            identity=identity,
            issuer=issuer,
            public_key=public(self.attacker_signing),
            revocation_id=self._id(category) if revocation_id is None else revocation_id,
            ciphers=CIPHERS,
            workload_identities=patterns,
            key_id=key_id,
            not_after=not_after,
        )


def acceptable(
    machine: WeakMachine, world: World, candidates: tuple[Term, ...], targets: frozenset[str], peer_role: Role
) -> tuple[Term, ...]:
    """The candidates that a verifier with these targets accepts."""
    trust = world.trust(targets)

    def accepted(certificate: Term) -> bool:
        try:
            machine.verifier.verify(certificate, trust, peer_role)
        except Refused:
            return False
        return True

    return tuple(filter(accepted, candidates))
