"""The inhabitants of the datacenter: credentials, replicas that run, and what the test itself knows of sessions.

What a session may be is decided here from books that the test keeps, with code that neither model nor implementation
has: `Books.judge` is the judge of both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from alts_model.ciphers import KCI
from alts_model.messages import MODE_CLIENT_TICKET, MODE_FULL, MODE_SERVER_TICKET
from alts_model.primitives import hmac_sha256
from alts_vectors._world import HOUR, HUMAN, ISSUER, MACHINE, NOW, WORKLOAD, Chain
from alts_vectors.target import EndpointSettings, ResumptionSettings, RoleName
from tests.differential.lockstep import Seen, Stores
from tests.differential.sessions import CIPHERS, REALM, chain, settings_of

Policy = tuple[tuple[str, int, str], ...]
MALLORY: Final = "test/user/mallory@example"
POLICIES: Final[Mapping[str, Policy]] = {
    "production": ((ISSUER, WORKLOAD, "test/*"), (ISSUER, MACHINE, "test/machine/*"), (ISSUER, HUMAN, "test/user/*")),
    "no workloads": ((ISSUER, MACHINE, "**"), (ISSUER, HUMAN, "**")),
    "backend alone": (("*/cluster-master", WORKLOAD, "*/backend"),),
    "laboratory": (("**", WORKLOAD, "**"), ("**", MACHINE, "**"), ("**", HUMAN, "**")),
    "nothing": (),
}
TICKET_LABELS: Final[Mapping[RoleName, bytes]] = {
    "server": b"openalts v1 server-made ticket",
    "client": b"openalts v1 client-made ticket",
}
DAY: Final = 86400


def allowed(policy: Policy, issuer: str, category: int, identity: str) -> bool:
    """SPEC 4.10 by regular expressions."""
    return any(
        category == rule[1] and _expression(rule[0]).fullmatch(issuer) and _expression(rule[2]).fullmatch(identity)
        for rule in policy
    )


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(".", r"\.").replace("**", ".+").replace("*", "[^/]+").replace("[^/]+[^/]+", ".+"))


@dataclass(frozen=True)
class Issued:
    """A credential and what is in it, by the test's own books."""

    chain: Chain
    identity: str
    category: int
    issuer: str
    ids: frozenset[int]
    not_before: int
    not_after: int

    @classmethod
    def make(cls, identity: str, category: int, number: int, now: int, issuer: str = ISSUER) -> Issued:
        """A certificate for two days, a human's for 19 hours, valid from an hour ago."""
        begin, end = now - HOUR, now + (19 if category == HUMAN else 47) * HOUR
        ids = frozenset({category << 56 | number << 8, category << 56 | number << 8 | (category != HUMAN)})
        times = {"not_before": begin, "not_after": end}
        made = chain(identity, number, category).but(master={**times, "issuer": issuer}, handshake=times)
        return cls(made, identity, category, issuer, ids, begin, end)


@dataclass
class Replica:
    """One process: it runs under an identity, in a cell, with a clock of its own, and believes what it was told."""

    name: str
    identity: str
    category: int
    cell: str
    skew: int
    issued: Issued
    keys: tuple[tuple[int, bytes], ...]
    """None: it makes no tickets."""
    forward_secret: bool = True
    policy: str = "production"
    revoked: frozenset[int] = frozenset()
    stores: dict[RoleName, Stores] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start again, with empty caches and no memory (a crash is no more than this)."""
        idr = REALM.derive(f"IDR {self.identity} {self.cell}")[:16] if self.keys else b""
        resumption = ResumptionSettings(idr, self.keys, self.forward_secret)
        one, other = Stores(resumption), Stores(resumption)
        # A cache for each role: see the known difference in test_sessions. One memory of used secrets for both.
        other.model = replace(other.model, used=one.model.used)
        other.implementation.used = one.implementation.used
        self.stores = {"client": one, "server": other}

    def set_keys(self, keys: tuple[tuple[int, bytes], ...]) -> None:
        """What a daemon does when resumption keys are rotated."""
        self.keys = keys
        for stores in self.stores.values():
            stores.set_keys(keys)

    def settings(
        self, name: str, now: int, ciphers: Sequence[str], targets: frozenset[str] = frozenset()
    ) -> EndpointSettings:
        """An end of a connection of this process, now."""
        return settings_of(
            self.issued.chain,
            name,
            ciphers,
            now=now + self.skew,
            policy=POLICIES[self.policy],
            revoked=self.revoked,
            target_identities=targets,
        )


@dataclass(frozen=True)
class History:
    """Where a ticket's secret comes from."""

    maker: RoleName
    client: Issued
    server: Issued
    cipher: str
    created: Mapping[RoleName, int]
    """By the clocks of both ends."""
    full_handshake: Mapping[RoleName, int]


@dataclass
class Connection:
    """One connection that the client completed, as the judge gets it."""

    client: Replica
    server: Replica
    now: int
    offered: Sequence[str]
    allowed: Sequence[str]
    targets: frozenset[str]
    at_client: Seen
    at_server: Seen
    """Empty: ClientFinished did not arrive."""
    R: bytes
    secret: bytes | None


@dataclass
class Books:
    """All sessions that ever completed, by the secrets that they left."""

    histories: dict[bytes, History] = field(default_factory=dict)
    completed: set[bytes] = field(default_factory=set)
    modes: dict[int, int] = field(default_factory=lambda: {MODE_FULL: 0, MODE_CLIENT_TICKET: 0, MODE_SERVER_TICKET: 0})

    def judge(self, made: Connection) -> None:
        """Everything that must hold of a session that both ends completed. Raises AssertionError."""
        client, server = made.client, made.server
        assert made.at_client[1:3] == (server.identity, server.category), "the client knows its server"
        assert made.at_server[1:3] == (client.identity, client.category), "the server knows its client"
        assert made.at_client[3:] == made.at_server[3:], "both agree"
        cipher, mode = made.at_client[3], made.at_client[-1]
        assert cipher == next(name for name in made.offered if name in made.allowed), "the client's order decides"
        assert not made.targets or server.identity in made.targets
        clocks: dict[RoleName, int] = {"client": made.now + client.skew, "server": made.now + server.skew}
        ends: dict[RoleName, Replica] = {"client": client, "server": server}
        credentials: dict[RoleName, Issued] = {"client": client.issued, "server": server.issued}
        self.modes[mode] += 1
        if mode != MODE_FULL:
            assert made.secret is not None
            assert made.secret not in self.completed, "a secret completes at most once (RES-7)"
            self.completed.add(made.secret)
            history = self.histories[made.secret]
            self._judge_history(history, mode, cipher, clocks)
            credentials = {"client": history.client, "server": history.server}
        self._judge_beliefs(credentials, ends, clocks, mode)

    def note(self, made: Connection) -> None:
        """What becomes of the R of a session that one end at least completed: it may hold a ticket of the other's."""
        clocks: dict[RoleName, int] = {"client": made.now + made.client.skew, "server": made.now + made.server.skew}
        before = None if made.secret is None else self.histories[made.secret]
        for maker in TICKET_LABELS:
            secret = hmac_sha256(made.R, TICKET_LABELS[maker])
            assert secret not in self.histories, "secrets are fresh"
            self.histories[secret] = History(
                maker,
                made.client.issued if before is None else before.client,
                made.server.issued if before is None else before.server,
                made.at_client[3],
                clocks,
                clocks if before is None else before.full_handshake,
            )

    def _judge_history(self, history: History, mode: int, cipher: str, clocks: Mapping[RoleName, int]) -> None:
        """A resumed session comes from a ticket of the right maker, of the right age, for this cipher."""
        maker: RoleName = "server" if mode == MODE_CLIENT_TICKET else "client"
        holder: RoleName = "client" if maker == "server" else "server"
        assert history.maker == maker, "a ticket comes back to the role that made it"
        assert history.cipher == cipher != KCI
        # The other replica that made it may have had another clock; a process's own clock stands for the cell's.
        assert clocks[holder] < history.created[holder] + DAY
        assert history.created[maker] - 300 <= clocks[maker] < history.created[maker] + DAY
        assert all(clocks[role] < history.full_handshake[role] + 2 * DAY for role in clocks)

    def _judge_beliefs(
        self,
        credentials: Mapping[RoleName, Issued],
        ends: Mapping[RoleName, Replica],
        clocks: Mapping[RoleName, int],
        mode: int,
    ) -> None:
        """Neither end talks to a peer that is revoked, expired or not allowed, by what it believes today."""
        assert credentials["server"].category != HUMAN, "a human is no server"
        for role, other in (("client", "server"), ("server", "client")):
            end, peer = ends[role], credentials[other]  # type: ignore[index]  # the two literals are RoleNames
            assert (peer.identity, peer.category) == (ends[other].identity, ends[other].category)  # type: ignore[index]
            assert not peer.ids & end.revoked, "revoked"
            now = clocks[role]  # type: ignore[index]
            assert now < peer.not_after, "expired"
            assert mode != MODE_FULL or peer.not_before <= now, "not yet valid"
            assert allowed(POLICIES[end.policy], peer.issuer, peer.category, peer.identity), "policy"
            if mode != MODE_FULL:
                assert not credentials[role].ids & end.revoked, "revoked at our own end"  # type: ignore[index]


def population(now: int = NOW) -> list[Replica]:
    """Five identities in two cells, and Mallory, who had a certificate issued for somebody else's identity."""
    plan = [
        ("test/frontend", WORKLOAD, "a", 0, True),
        ("test/frontend", WORKLOAD, "a", 120, True),
        ("test/backend", WORKLOAD, "a", 0, True),
        ("test/backend", WORKLOAD, "a", -350, True),
        ("test/backend", WORKLOAD, "b", 0, False),
        ("test/third", WORKLOAD, "b", -90, False),
        ("test/machine/1", MACHINE, "a", 0, True),
        ("test/user/alice@example", HUMAN, "a", 0, False),
    ]
    found = []
    for number, (identity, category, cell, skew, makes) in enumerate(plan, start=1):
        issued = Issued.make(identity, category, number, now)
        keys = (first_key(identity, cell),) if makes else ()
        name = f"{identity}#{number}"
        found.append(Replica(name, identity, category, cell, skew, issued, keys, forward_secret=number != 4))
    issued = Issued.make("test/backend", WORKLOAD, 90, now, MALLORY)
    mallory = Replica("mallory", "test/backend", WORKLOAD, "his", 0, issued, (first_key("test/backend", "his"),))
    return [*found, mallory]


def first_key(identity: str, cell: str, epoch: int = 1) -> tuple[int, bytes]:
    """The resumption key of an epoch."""
    return epoch, REALM.derive(f"resumption key {epoch} of {identity} in {cell}")


LISTS: Final[tuple[tuple[str, ...], ...]] = (
    (CIPHERS[0],),
    (CIPHERS[0],),
    CIPHERS[:2],
    (CIPHERS[1], CIPHERS[0]),
    (CIPHERS[2], CIPHERS[0]),
    (CIPHERS[0], CIPHERS[2], CIPHERS[1]),
    (CIPHERS[1], CIPHERS[2]),
    (CIPHERS[3], CIPHERS[0]),
    tuple(reversed(CIPHERS)),
)
"""Lists of ciphers that ends offer or allow. None holds KCI alone: see the known difference in test_sessions."""
