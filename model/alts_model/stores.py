"""What a process remembers between connections: resumption keys, the tickets that it holds, the secrets that it used.

Tickets and secrets are over any kind of value, so that the explorer and the endpoints share the rules. The stores are
the only things in this package that change in place: endpoints of one process share them, and replicas may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic

from alts_model.errors import ConfigurationError
from alts_model.messages import CertificateView, IssuedTicket, V
from alts_model.tables import Role

TICKET_LIFE: Final = 86400
"""Longest life of a ticket, in seconds (SPEC.md 12.5)."""

CHAIN_LIFE: Final = 172800
"""Longest life of a chain of sessions since its last full handshake, in seconds."""

CLOCK_ALLOWANCE: Final = 300
"""How far ahead the clock of the replica that made a ticket may be, in seconds (SPEC.md 12.6)."""


@dataclass(frozen=True, slots=True)
class SessionParty(Generic[V]):
    """One end of a session as its certificates described it in the full handshake; the `Party` of the ticket schema."""

    category: int
    identity: str
    issuer: str
    boundary: str
    not_after: int
    handshake_revocation_id: int
    master_revocation_id: int
    certificate_digest: V
    verification_key_id: V


def session_party(view: CertificateView[V], digest: V) -> SessionParty[V]:
    """What a ticket says about the owner of a certificate. `digest` is that of the whole handshake certificate."""
    ends = [end for end in (view.not_after, view.master.not_after) if end]
    return SessionParty(
        view.category,
        view.identity,
        view.master.issuer,
        view.boundary,
        min(ends, default=0),
        view.revocation_id,
        view.master.revocation_id,
        digest,
        view.master.verification_key_id,
    )


@dataclass(frozen=True, slots=True)
class Session(Generic[V]):
    """What goes down a chain of sessions unchanged: both ends, the cipher, the time of the last full handshake."""

    client: SessionParty[V]
    server: SessionParty[V]
    handshake_cipher: str
    full_handshake: int

    def party(self, role: Role) -> SessionParty[V]:
        """The end that has a role."""
        return self.client if role == "client" else self.server

    def end(self, created: int) -> int:
        """The first second at which a ticket made at `created` is dead (SPEC.md 12.5)."""
        ends = [created + TICKET_LIFE, self.full_handshake + CHAIN_LIFE]
        ends += [party.not_after for party in (self.client, self.server) if party.not_after]
        return min(ends)


@dataclass(frozen=True, slots=True)
class Contents(Generic[V]):
    """The inside of a ticket that an end in `maker_role` made."""

    secret: V = field(repr=False)
    maker_role: Role
    session: Session[V]
    created: int


@dataclass(frozen=True, slots=True)
class Held(Generic[V]):
    """A ticket in the hands of its holder, with the secret beside it. Dead from `expires` on."""

    maker_role: Role
    issued: IssuedTicket[V]
    secret: V = field(repr=False)
    session: Session[V]
    expires: int


@dataclass(frozen=True, slots=True)
class ResumptionKeys(Generic[V]):
    """The resumption keys of an identity in a cell (CRED-3, ISSUE-9): a 16-byte IDR, and epoch (1 or more) to key.

    Tickets are sealed under `sealing`, by default the newest epoch, and opened under all. During a rotation the next
    key can be spread before it is used.

    Raises:
        ConfigurationError: the IDR, an epoch or `sealing` is none, or there is no key.
    """

    resumption_id: bytes
    keys: tuple[tuple[int, V], ...] = field(repr=False)
    sealing: int = 0

    def __post_init__(self) -> None:
        epochs = [epoch for epoch, _ in self.keys]
        if len(self.resumption_id) != 16 or not epochs or len(set(epochs)) != len(epochs):
            raise ConfigurationError("resumption keys: IDR or epochs")
        if any(not 1 <= epoch < 1 << 64 for epoch in epochs) or (self.sealing and self.sealing not in epochs):
            raise ConfigurationError("resumption keys: epochs")

    @property
    def epoch(self) -> int:
        """The epoch under which tickets are made."""
        return self.sealing or max(epoch for epoch, _ in self.keys)

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that ClientInit names: ascending, the newest 8."""
        return tuple(sorted(epoch for epoch, _ in self.keys)[-8:])

    def key(self, epoch: int) -> V | None:
        """The key of an epoch."""
        return dict(self.keys).get(epoch)


class TicketCache(Generic[V]):
    """The tickets that a process holds, at most `capacity`, the oldest forgotten first. A holder may always forget."""

    def __init__(self, capacity: int = 1024, entries: Iterable[Held[V]] = ()) -> None:
        self.capacity = capacity
        self._entries = [*entries]

    @property
    def entries(self) -> tuple[Held[V], ...]:
        """What is held, the oldest first."""
        return tuple(self._entries)

    def keep(self, held: Held[V]) -> None:
        """Hold one more ticket."""
        self._entries.append(held)
        del self._entries[: max(0, len(self._entries) - self.capacity)]

    def take(self, wanted: Callable[[Held[V]], bool], now: int) -> Held[V] | None:
        """Remove and return the newest ticket that is wanted (RES-7); forget all that are dead."""
        self._entries = [held for held in self._entries if now < held.expires]
        for held in reversed(self._entries):
            if wanted(held):
                self._entries.remove(held)
                return held
        return None

    def copy(self) -> TicketCache[V]:
        """An independent cache with the same tickets."""
        return TicketCache(self.capacity, self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"TicketCache({len(self)} tickets, hidden)"


class UsedSecrets(Generic[V]):
    """The secrets that the makers of one process have used (RES-7); at most `capacity` at a time.

    A full memory refuses rather than forgets. A secret is forgotten when its ticket is dead, and from then on every
    ticket that dies no later is refused, so that a clock that goes back revives nothing.
    """

    def __init__(self, capacity: int = 65536, used: Iterable[tuple[V, int]] = (), forgotten: int = 0) -> None:
        self.capacity = capacity
        self._used = dict(used)
        self._forgotten = forgotten

    def mark(self, secret: V, expires: int, now: int) -> bool:
        """Check and set: whether the secret was unused, and is marked now."""
        dead = [old for old, end in self._used.items() if end <= now]
        for old in dead:
            self._forgotten = max(self._forgotten, self._used.pop(old))
        if secret in self._used or len(self._used) >= self.capacity or expires <= self._forgotten:
            return False
        self._used[secret] = expires
        return True

    @property
    def used(self) -> frozenset[V]:
        """The secrets that are remembered."""
        return frozenset(self._used)

    def copy(self) -> UsedSecrets[V]:
        """An independent memory with the same contents."""
        return UsedSecrets(self.capacity, self._used.items(), self._forgotten)

    def __len__(self) -> int:
        return len(self._used)

    def __repr__(self) -> str:
        return f"UsedSecrets({len(self)} secrets, hidden)"


@dataclass(frozen=True, slots=True)
class Resumption(Generic[V]):
    """What one process resumes with. All of it is optional: keys to make tickets, a cache to hold those of others.

    `used` is the memory of its makers; replicas may share one. `forward_secret_server_tickets` lets a server make
    tickets with a forward secret cipher too (SPEC.md 12.4 tells the price).

    Raises:
        ConfigurationError: keys without a memory of used secrets.
    """

    keys: ResumptionKeys[V] | None = None
    cache: TicketCache[V] | None = None
    used: UsedSecrets[V] | None = None
    forward_secret_server_tickets: bool = False

    def __post_init__(self) -> None:
        if self.keys is not None and self.used is None:
            raise ConfigurationError("resumption keys without a memory of used secrets")

    @property
    def active(self) -> bool:
        """Whether the process resumes at all."""
        return self.keys is not None or self.cache is not None
