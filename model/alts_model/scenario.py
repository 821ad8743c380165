"""The small world that the explorer searches: a realm, an attacker's arsenal, and protocol sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from alts_model import terms
from alts_model.ciphers import STATIC
from alts_model.connection import Party
from alts_model.errors import Refused
from alts_model.keying import Randomness
from alts_model.knowledge import Knowledge
from alts_model.messages import HUMAN, MACHINE, WORKLOAD
from alts_model.stores import TICKET_LIFE, ResumptionKeys
from alts_model.symbolic import handshake_certificate, master_certificate, verification_key_id
from alts_model.tables import Role
from alts_model.terms import Term, const, name, public
from alts_model.trust import PolicyRule, Trust
from alts_model.weakening import WeakMachine

NOW: Final = 1000
CIPHERS: Final = (STATIC,)
RECORDS: Final = ("ALTSRP_GCM_AES128_REKEY",)
APPLICATIONS: Final = ("grpc", "plain")
FRAME_SIZES: Final = (1048576, 16384)
RPC: Final = ((2, 1), (2, 1))

FRONTEND: Final = "prod/frontend"
BACKEND: Final = "prod/backend"
MALLORY: Final = "prod/mallory"
EVE: Final = "people/eve"
HONEST: Final = (FRONTEND, BACKEND)
HANDSHAKE_REQUIREMENTS: Final = ("TRUST-1", "HS-5", "HS-8", "HS-9")
"""What is shown where the whole handshake is searched and no attack found."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One protocol session: `name` (c1, s2, ...), role, whose it is, and the targets that its application names.

    Sessions of one `process` share a ticket cache, those of one `memory` the used secrets. `late` sessions begin after
    the leak, if the scenario has one; without one they begin at any time, and clients among them once they like to.
    """

    name: str
    role: Role
    identity: str
    targets: frozenset[str]
    process: str = ""
    memory: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A name, a sentence, the sessions of both roles; what the honest offer and allow, and what the attacker gets.

    `stolen` is known from the beginning, `leaked` from a moment that the attacker chooses, when no session but the late
    ones goes on. `arsenal`: whether the attacker has the whole one of `World`, and varies offers and choices.
    `outsider`: the attacker has no identity of its own. `prelude`: these sessions, client and server in turn, have run
    honestly before the search begins.
    `later`: what has changed in the trust of the late sessions. `trusted` are the identities whose peers' beliefs
    about them must be true; `violated` the property that falls, None if none is to. `requirements`: those that are
    shown if the search ends as it says.
    """

    name: str
    text: str
    sessions: tuple[SessionPlan, ...]
    ciphers: tuple[str, ...] = (STATIC,)
    stolen: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    arsenal: bool = True
    resumption: bool = False
    early_tickets: bool = False
    outsider: bool = False
    prelude: tuple[str, ...] = ()
    later: str = ""
    trusted: tuple[str, ...] = HONEST
    violated: str | None = None
    requirements: tuple[str, ...] = HANDSHAKE_REQUIREMENTS


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

    def __init__(self, ciphers: tuple[str, ...] = CIPHERS, *, rotated: bool = False) -> None:
        self.ciphers = ciphers
        self.rotated: dict[str, tuple[Term, Term]] = {}
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
        self.attacker_seed = name("ml-kem-seed(attacker)")
        self.attacker_encapsulation = name("encapsulation(attacker)")
        self.junk = name("junk")
        self.resumption_keys = {
            identity: ResumptionKeys(
                f"IDR of {identity}".encode()[:16].ljust(16), ((1, name(f"resumption-key({identity})")),)
            )
            for identity in HONEST
        }
        self.revoked = frozenset[int]()
        initial = [*self.certificates.values(), self.renewed, *self._arsenal()]
        initial += [self.attacker_dh, self.attacker_signing, self.attacker_nonce, self.attacker_ticket, self.junk]
        initial += [self.attacker_seed, self.attacker_encapsulation]
        if rotated:
            for identity in HONEST:
                key = name(f"new-dh-key({identity})")
                certificate = self._handshake(f"new certificate of {identity}", identity, private_key=key)
                self.rotated[identity] = certificate, key
                initial.append(certificate)
        self.knowledge = Knowledge(initial)

    def trust(self, targets: frozenset[str], later: str = "") -> Trust[Term]:
        """What every honest verifier goes by; `later` names what has changed since."""
        return Trust(
            {} if later == "authority" else self.anchors,
            () if later == "policy" else self.policy,
            None if later == "revocation" else self.revoked,
            NOW + TICKET_LIFE if later == "life" else NOW,
            targets,
        )

    def secrets(self, what: str, plans: tuple[SessionPlan, ...]) -> tuple[Term, ...]:
        """Terms that a thief gets: an identity's static key, its resumption key, or kinds of keys of all of them."""
        kind, _, identity = what.partition(" of ")
        if kind == "ephemerals":
            return tuple(self.fresh(plan, "ephemeral", index) for plan in plans for index in range(len(self.ciphers)))
        if kind == "resumption keys":
            return tuple(self.resumption_keys[one].keys[0][1] for one in ([identity] if identity else HONEST))
        return tuple(self.private_keys[one] for one in ([identity] if identity else HONEST))

    def fresh(self, plan: SessionPlan, what: str, index: int = 0) -> Term:
        """A fresh value of a session."""
        return name(f"{what}({plan.name})" if index == 0 else f"{what}{index + 1}({plan.name})")

    def randomness(self, plan: SessionPlan) -> Randomness[Term]:
        """All that a session may need."""
        return Randomness(
            tuple(self.fresh(plan, "ephemeral", index) for index in range(len(self.ciphers))),
            (self.fresh(plan, "ml-kem-seed"),),
            (self.fresh(plan, "encapsulation"),),
            (self.fresh(plan, "salt"),),
        )

    def party(self, machine: WeakMachine, plan: SessionPlan, later: str = "") -> Party[Term]:
        """The honest party of a session. Its nonce is fresh unless the machine is without fresh nonces."""
        fresh = not machine.without & {"nonces", f"{plan.role}-nonce"}
        certificate, private_key = self.credential(plan)
        return Party(
            certificate,
            machine.algebra.certificate(certificate),
            private_key,
            self.trust(plan.targets, later if plan.late else ""),
            self.ciphers,
            RECORDS,
            APPLICATIONS,
            RPC,
            FRAME_SIZES[0],
            self.fresh(plan, "nonce") if fresh else const("the nonce"),
            self.randomness(plan),
        )

    def credential(self, plan: SessionPlan) -> tuple[Term, Term]:
        """Certificate and private key of a session: the new ones, if keys have been rotated and it is late."""
        if plan.late and self.rotated:
            return self.rotated[plan.identity]
        return self.certificates[plan.identity], self.private_keys[plan.identity]

    def replaced(self) -> frozenset[Term]:
        """Certificates that are out of use once keys have been rotated; we take it that nobody accepts them then."""
        return frozenset({*self.certificates.values(), self.renewed} if self.rotated else ())

    def few_certificates(self, *, outsider: bool) -> tuple[Term, ...]:
        """The honest ones and, unless it is an outsider, that of the attacker's own identity."""
        honest = (*self.certificates.values(), *(certificate for certificate, _ in self.rotated.values()))
        if outsider:
            return honest
        _, master, key, category = self._signable[0]
        own = handshake_certificate(
            key,
            master,
            category=category,
            identity=MALLORY,
            public_key=public(self.attacker_dh),
            revocation_id=category << 56 | 0xFFFF,
            ciphers=self.ciphers,
        )
        self.labels.setdefault(own, f"certificate of {MALLORY}")
        return (*honest, own)

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
                        ciphers=self.ciphers,
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
            ciphers=self.ciphers,
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
            ciphers=self.ciphers,
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
            ciphers=self.ciphers,
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
            ciphers=self.ciphers,
            workload_identities=patterns,
            key_id=key_id,
            not_after=not_after,
        )


def acceptable(
    machine: WeakMachine, trust: Trust[Term], candidates: tuple[Term, ...], peer_role: Role
) -> tuple[Term, ...]:
    """The candidates that a verifier with this trust accepts."""

    def accepted(certificate: Term) -> bool:
        try:
            machine.verifier.verify(certificate, trust, peer_role)
        except Refused:
            return False
        return True

    return tuple(filter(accepted, candidates))
