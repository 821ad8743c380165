"""Tickets: sealing and opening, the holder's cache, the maker's memory of used secrets (SPEC 12; RES-2 to RES-7).

Two parties meet in a ticket: its *maker*, who sealed it under a resumption key that all replicas of its identity in a
cell share (CRED-3), and its *holder*, who cannot read it and keeps the secret beside it.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError

from alts_schema.certificate_pb2 import Category as WireCategory
from alts_schema.handshake_pb2 import ClientInit
from alts_schema.ticket_pb2 import Party, TicketContents

from ._errors import ConfigurationError
from ._key_schedule import hmac_sha256
from ._messages import (
    HANDSHAKE_CIPHERS,
    RESUMPTION_ID_SIZE,
    VERSION,
    encode_bytes,
    encode_integer,
)
from ._table import Role
from ._trust import Category, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

KEY_SIZE = SALT_SIZE = SECRET_SIZE = 32
TAG_SIZE = 16
_KEY_INFO = b"openalts v1 ticket key" + b"\x01"  # label, and the number of HKDF's only block
_CONTEXT = b"openalts v1 ticket"
_ROLE = {Role.CLIENT: b"client", Role.SERVER: b"server"}
_NONCE = bytes(12)  # every ticket has a key of its own, from its salt


@dataclass(frozen=True, slots=True)
class ResumptionKeys:
    """The resumption keys of one identity in one cell (CRED-3), the newest of which seals.

    Attributes:
        resumption_id: IDR, 16 bytes, shared by all replicas of the identity in the cell.
        keys: 32-byte keys by epoch (1 and up); older ones stay for as long as tickets under them shall open.
            The mapping is copied: rotation makes new `ResumptionKeys`.

    Raises:
        ConfigurationError: sizes or epochs are wrong.
    """

    resumption_id: bytes
    keys: Mapping[int, bytes] = field(repr=False)
    newest: int = field(init=False)
    """The epoch that seals."""
    client_init: bytes = field(init=False, repr=False)
    """What ClientInit says about these keys, encoded."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", dict(self.keys))  # what follows from them is computed here, once
        sized = len(self.resumption_id) == RESUMPTION_ID_SIZE and all(
            len(key) == KEY_SIZE for key in self.keys.values()
        )
        if not sized or not 1 <= len(self.keys) <= 8 or not all(1 <= epoch < 1 << 64 for epoch in self.keys):
            raise ConfigurationError("resumption keys: a 16-byte ID and 1 to 8 epochs with 32-byte keys are needed")
        named = ClientInit(resumption_id=self.resumption_id, ticket_key_epochs=self.epochs)
        object.__setattr__(self, "newest", max(self.keys))
        object.__setattr__(self, "client_init", named.SerializeToString(deterministic=True))

    @property
    def epochs(self) -> list[int]:
        """Epochs that can be opened, ascending."""
        return sorted(self.keys)


@dataclass(slots=True)  # a frozen one takes three times as long to make; no tuple, which would show its secret
class Session:
    """What both ends remember of a session in order to resume it; all but secret and creation goes down a chain.

    Attributes:
        secret: of the maker's direction, 32 bytes (SPEC 12.3).
        peer: the other end, as its certificates described it in the full handshake.
        own: this end, likewise.
        handshake_cipher: the only one that may be used with it.
        created: seconds since the epoch.
        full_handshake: seconds since the epoch when the chain had its last full handshake.
    """

    secret: bytes = field(repr=False)
    peer: Peer
    own: Peer
    handshake_cipher: str
    created: int
    full_handshake: int


Line = tuple[Peer, Peer, str, int, int]
"""A `Session` without a secret."""


class HeldTicket(NamedTuple):
    """A ticket in its holder's cache, with the secret that the holder cannot read from it."""

    resumption_id: bytes
    key_epoch: int
    ticket: bytes
    session: Session
    expires: int
    maker: Role
    """Who can open it: a server-made ticket goes into ClientInit, a client-made one into ServerInit."""

    @property
    def presented(self) -> tuple[bytes, int, bytes]:
        """Resumption ID, epoch and ticket, as they go back to a party that can open it."""
        return self[0], self[1], self[2]


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


@functools.lru_cache(maxsize=256)  # pure; an endpoint has one role mostly, one identity and few epochs
def _associated_data(maker: Role, identity: str, resumption_id: bytes, epoch: int) -> bytes:
    parts = _ROLE[maker], identity.encode("ascii"), resumption_id
    return _CONTEXT + b"".join(map(_prefixed, parts)) + epoch.to_bytes(8, "big") + bytes([VERSION])


def _ticket_key(key: bytes, salt: bytes) -> AESGCM:
    """Return AES-256-GCM under HKDF-SHA-256(key, salt, label), of RFC 5869: extract, and one block of expand."""
    return AESGCM(hmac_sha256(hmac_sha256(salt, key), _KEY_INFO))


def _party(peer: Peer) -> bytes:
    """Return an end of the session as it is encoded in a ticket, and note it: what it says never changes."""
    party = Party(
        category=WireCategory.Name(peer.category),
        identity=peer.identity,
        issuer=peer.issuer,
        boundary=peer.boundary,
        not_after=peer.not_after,
        handshake_revocation_id=peer.revocation_ids[0],
        master_revocation_id=peer.revocation_ids[1],
        certificate_digest=peer.certificate_digest,
        verification_key_id=peer.verification_key_id,
    ).SerializeToString(deterministic=True)
    object.__setattr__(peer, "_party", party)
    return party


def _peer(party: Party) -> Peer:
    return Peer(
        identity=party.identity,
        category=Category(int(party.category)),
        issuer=party.issuer,
        boundary=party.boundary,
        revocation_ids=(party.handshake_revocation_id, party.master_revocation_id),
        not_after=party.not_after,
        certificate_digest=party.certificate_digest,
        verification_key_id=party.verification_key_id,
    )


_BEFORE_SECRET = encode_integer(1, VERSION) + b"\x12\x20"
_TIMES_SIZE = 2 * (1 + 5)
"""Bytes of the two times, each after its tag, from the year 1978 to 3058."""
_CIPHERS = {cipher: encode_bytes(5, cipher.encode("ascii")) for cipher in HANDSHAKE_CIPHERS}


def _times(session_created: int, full_handshake: int) -> bytes:
    return encode_integer(6, session_created) + encode_integer(7, full_handshake)


def seal_ticket(
    keys: ResumptionKeys, maker: Role, session: Session, random: Callable[[int], bytes]
) -> tuple[int, bytes]:
    """Seal `session` as its maker; return key epoch and ticket (SPEC 12.2). Draws 32 bytes of salt."""
    peer, own = session.peer, session.own
    contents = b"".join(  # the canonical encoding of TicketContents
        (
            _BEFORE_SECRET,
            session.secret,
            encode_bytes(3, own._party or _party(own)),
            encode_bytes(4, peer._party or _party(peer)),
            _CIPHERS[session.handshake_cipher],
            _times(session.created, session.full_handshake),
        )
    )
    epoch, salt = keys.newest, random(SALT_SIZE)
    data = _associated_data(maker, own.identity, keys.resumption_id, epoch)
    return epoch, salt + _ticket_key(keys.keys[epoch], salt).encrypt(_NONCE, contents, data)


@functools.lru_cache(maxsize=4096)  # pure, and for bytes that were authentic; they go unchanged down a chain of tickets
def _ends(fields: bytes) -> tuple[Peer, Peer, str] | None:
    """Return holder, maker and handshake cipher of the ticket in whose contents `fields` are what never changes.

    None: there is more in them, another encoding, or something that this version does not know.
    """
    contents = TicketContents.FromString(fields)
    more = contents.version or contents.secret or contents.created or contents.full_handshake
    canonical = not more and contents.SerializeToString(deterministic=True) == fields
    if not canonical or contents.handshake_cipher not in HANDSHAKE_CIPHERS:
        return None
    return _peer(contents.holder), _peer(contents.maker), contents.handshake_cipher


def _as_written(raw: bytes) -> Session | None:
    """Read contents as `seal_ticket` writes them: read as if they were, and compared; None: they are not."""
    if len(raw) < len(_BEFORE_SECRET) + SECRET_SIZE + _TIMES_SIZE or not raw.startswith(_BEFORE_SECRET):
        return None
    begin, end = len(_BEFORE_SECRET) + SECRET_SIZE, len(raw) - _TIMES_SIZE
    one, two = raw[end + 1 : end + 6], raw[end + 7 :]
    if not (0 < one[4] < 128 and 0 < two[4] < 128):  # else a time has another size
        return None
    created = one[0] & 127 | (one[1] & 127) << 7 | (one[2] & 127) << 14 | (one[3] & 127) << 21 | one[4] << 28
    full_handshake = two[0] & 127 | (two[1] & 127) << 7 | (two[2] & 127) << 14 | (two[3] & 127) << 21 | two[4] << 28
    try:
        ends = _ends(raw[begin:end]) if raw.endswith(_times(created, full_handshake)) else None
    except (DecodeError, ValueError):  # what is wrong with it, if anything, is the library's to say
        return None
    return None if ends is None else Session(raw[begin - SECRET_SIZE : begin], *ends, created, full_handshake)


def _as_parsed(raw: bytes) -> Session | None:
    """Read any encoding of contents that this version knows; None: it does not."""
    contents = TicketContents.FromString(raw)
    known = contents.version == VERSION and contents.handshake_cipher in HANDSHAKE_CIPHERS
    if not known or len(contents.secret) != SECRET_SIZE:
        return None
    ends = _peer(contents.holder), _peer(contents.maker)
    return Session(contents.secret, *ends, contents.handshake_cipher, contents.created, contents.full_handshake)


def open_ticket(
    keys: ResumptionKeys, maker: Role, identity: str, resumption_id: bytes, epoch: int, ticket: bytes
) -> Session | None:
    """Open a ticket that `identity` made as `maker`; None for every ticket that is not exactly that (RES-8).

    Role, identity, IDR, epoch and version are authenticated with it, so that a ticket sent back in the other role or to
    another identity does not open (SPEC 12.2); identity and role are compared with the contents once more.
    """
    key = keys.keys.get(epoch)
    if key is None or resumption_id != keys.resumption_id or len(ticket) < SALT_SIZE + TAG_SIZE:
        return None
    salt, body = ticket[:SALT_SIZE], ticket[SALT_SIZE:]
    try:
        raw = _ticket_key(key, salt).decrypt(_NONCE, body, _associated_data(maker, identity, resumption_id, epoch))
        session = _as_written(raw) or _as_parsed(raw)
    except (InvalidTag, DecodeError, ValueError):  # ValueError: a category that this version does not know
        return None
    return session if session is not None and session.own.identity == identity else None


class TicketCache:
    """The holder's tickets, at most one use each (RES-7): taken out before they are sent, bounded, forgotten when old.

    Args:
        capacity: tickets in all; those of the peer that was heard of longest ago go first.
        per_peer: tickets for one (authenticated identity, IDR).
    """

    def __init__(self, capacity: int = 1024, per_peer: int = 4) -> None:
        self._capacity = capacity
        self._per_peer = per_peer
        self._held: OrderedDict[str, list[HeldTicket]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def put(self, ticket: HeldTicket) -> None:
        """Keep `ticket`, under its authenticated peer and its IDR."""
        with self._lock:
            identity = ticket.session.peer.identity
            tickets = self._held.setdefault(identity, [])
            self._held.move_to_end(identity)
            tickets.append(ticket)
            self._count += 1
            alike = [held for held in tickets if held.resumption_id == ticket.resumption_id]
            if len(alike) > self._per_peer:
                self._remove(identity, alike[0])
            while self._count > self._capacity:
                oldest = next(iter(self._held))
                self._remove(oldest, self._held[oldest][0])

    def take(
        self, identities: Collection[str], now: int, usable: Callable[[HeldTicket], bool] = lambda held: True
    ) -> HeldTicket | None:
        """Remove and return the newest ticket of a peer among `identities` that is `usable`; None if there is none."""
        with self._lock:
            for identity in identities:
                for held in reversed(self._held.get(identity, [])):  # what is removed lies behind or ends it
                    if held.expires <= now:
                        self._remove(identity, held)
                    elif usable(held):
                        self._remove(identity, held)
                        return held
        return None

    def _remove(self, identity: str, held: HeldTicket) -> None:
        tickets = self._held[identity]
        tickets.remove(held)
        self._count -= 1
        if not tickets:
            del self._held[identity]


class UsedSecrets(Protocol):
    """Where a maker remembers which ticket secrets were used; may be shared by replicas."""

    def first_use(self, secret: bytes, expires: int, now: int) -> bool:
        """Mark `secret` as used until `expires`; True exactly once, and False when there is no room to remember."""
        ...


class UsedSecretsInMemory:
    """One process's memory of used secrets; when it is full it refuses resumption rather than forget (RES-7)."""

    def __init__(self, capacity: int = 65536) -> None:
        self._capacity = capacity
        self._used: dict[bytes, int] = {}
        self._next_end = 0  # none of them is over before
        self._forgotten = 0  # secrets that expired before this were dropped; a clock set back does not revive them
        self._lock = threading.Lock()

    def first_use(self, secret: bytes, expires: int, now: int) -> bool:
        """See `UsedSecrets`; secrets are kept as their SHA-256."""
        name = hashlib.sha256(secret).digest()
        with self._lock:
            if name in self._used or expires <= self._forgotten:
                return False
            if len(self._used) >= self._capacity:
                if now < self._next_end:
                    return False
                self._forgotten = max(self._forgotten, now)
                self._used = {kept: end for kept, end in self._used.items() if end > now}
                self._next_end = min(self._used.values(), default=0)
                if len(self._used) >= self._capacity:
                    return False
            self._used[name] = expires
            self._next_end = min(self._next_end, expires)
            return True
