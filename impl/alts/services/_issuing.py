"""What every issuer keeps: ranges of revocation IDs, what it asked for, what it has to report (REVOKE-3, REVOKE-4).

An ID is taken, and on disk with the request that has it, before the request leaves. A repeated request finds its row;
so an ID is never given to two certificates, and no certificate is forgotten.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from alts_schema.issuance_pb2 import KeyRequest, Mapping, ProvenKey, SignMasterRequest

from .._trust import CATEGORY_SHIFT, Category
from ._certificates import require_answer
from ._errors import RequestRefused, Status, invalid
from ._proofs import decode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from alts_schema.issuance_pb2 import RevocationRange

    from ._store import Store

ISSUING_SCHEMA = (
    "CREATE TABLE ranges (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, next INTEGER NOT NULL)",
    """CREATE TABLE issued (
        revocation_id INTEGER PRIMARY KEY, request_key BLOB UNIQUE, request BLOB, certificate BLOB,
        identity TEXT NOT NULL, digest BLOB, not_after INTEGER NOT NULL, replaces INTEGER NOT NULL DEFAULT 0,
        revoke_at INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0)""",
)
LOW_RANGE = 64
"""Fewer free IDs than this, and an issuer asks for another range."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that is on its way to the Signing Service, or answered already."""

    revocation_id: int
    request: SignMasterRequest = field(repr=False)
    certificate: bytes | None = field(repr=False)


class Issuing:
    """The part of an issuer's state that all issuers share.

    Args:
        store: its database, made with `ISSUING_SCHEMA` and whatever else the issuer needs.
        name: its identity, which the Signing Service writes into its certificates (ISSUE-2).
        clock: returns seconds since the epoch.
    """

    def __init__(self, store: Store, name: str, clock: Callable[[], float]) -> None:
        self._store = store
        self.name = name
        self._clock = clock

    @property
    def free(self) -> int:
        """How many IDs are left."""
        (row,) = self._store.rows("SELECT COALESCE(SUM(first + count - next), 0) FROM ranges")
        return cast("int", row[0])

    def add_range(self, granted: RevocationRange) -> None:
        """Take a range from the CRL service (REVOKE-3).

        Raises:
            RequestRefused: it is no range, or overlaps one that this issuer had.
        """
        first, end = granted.first, granted.first + granted.count
        if not 0 < first < end <= 1 << CATEGORY_SHIFT:
            raise invalid("not a range of certificate IDs")
        with self._store.write() as tx:
            if tx.execute("SELECT 1 FROM ranges WHERE first < ? AND first + count > ?", (end, first)).fetchone():
                raise invalid("the range overlaps one that was granted before")
            tx.execute("INSERT INTO ranges VALUES (?, ?, ?)", (first, granted.count, first))

    def take(self, tx: sqlite3.Connection, category: Category) -> int:
        """Take the next revocation ID, within a transaction.

        Raises:
            RequestRefused: UNAVAILABLE; there is none left.
        """
        row = tx.execute("SELECT first, next FROM ranges WHERE next < first + count ORDER BY first").fetchone()
        if row is None:
            raise RequestRefused(Status.UNAVAILABLE, "no revocation ID is left; the CRL service has to grant a range")
        tx.execute("UPDATE ranges SET next = next + 1 WHERE first = ?", (row[0],))
        return int(category) << CATEGORY_SHIFT | cast("int", row[1])

    def begin(
        self,
        tx: sqlite3.Connection,
        key: ProvenKey,
        *,
        not_before: int,
        not_after: int,
        replaces: int = 0,
        revoke_at: int = 0,
    ) -> Pending:
        """Write down, within a transaction, a request for the Signing Service, with an ID of the range (REVOKE-4).

        Args:
            tx: of the issuer's store.
            key: whose proof was checked.
            not_before: seconds since the epoch.
            not_after: likewise; 0: no expiry.
            replaces: an ID of this issuer that is to be revoked, 0: none.
            revoke_at: when.
        """
        asked = decode(KeyRequest, key.request)
        # one certificate for a public key, however often its owner asks: the owner makes a new key each time
        name = hashlib.sha256(asked.public_key).digest()
        row = tx.execute(
            "SELECT revocation_id, request, certificate FROM issued WHERE request_key = ?", (name,)
        ).fetchone()
        if row is not None:
            pending = Pending(row[0], SignMasterRequest.FromString(row[1]), row[2])
            before = decode(KeyRequest, pending.request.key.request)
            if (before.identity, before.category) != (asked.identity, asked.category):
                raise RequestRefused(Status.ALREADY_EXISTS, "this key was certified for another entity")
            return pending
        number = self.take(tx, Category(int(asked.category)))
        request = SignMasterRequest(key=key, not_before=not_before, not_after=not_after, revocation_id=number)
        raw = request.SerializeToString(deterministic=True)
        tx.execute(
            "INSERT INTO issued (revocation_id, request_key, request, identity, not_after,"
            " replaces, revoke_at, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, name, raw, asked.identity, not_after, replaces, revoke_at, self._now()),
        )
        return Pending(number, request, None)

    def complete(self, tx: sqlite3.Connection, pending: Pending, certificate: bytes) -> bytes:
        """Keep, within a transaction, what the Signing Service answered, and return it.

        Raises:
            RequestRefused: INTERNAL; it is not what was asked for.
            PeerViolation: it is no certificate.
        """
        body = require_answer(certificate, decode(KeyRequest, pending.request.key.request), self.name)
        asked = pending.request
        times = asked.not_before, asked.not_after
        if body.revocation_id != pending.revocation_id or (body.not_before, body.not_after) != times:
            raise RequestRefused(Status.INTERNAL, "the certificate has another revocation ID or validity")
        digest = hashlib.sha256(certificate).digest()
        tx.execute(
            "UPDATE issued SET certificate = ?, digest = ? WHERE revocation_id = ? AND certificate IS NULL",
            (certificate, digest, pending.revocation_id),
        )
        return certificate

    def note(self, tx: sqlite3.Connection, number: int, identity: str, certificate: bytes, not_after: int) -> None:
        """Write down, within a transaction, a handshake certificate that has an ID of the range (REVOKE-5)."""
        tx.execute(
            "INSERT INTO issued (revocation_id, identity, certificate, digest, not_after, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (number, identity, certificate, hashlib.sha256(certificate).digest(), not_after, self._now()),
        )

    def unanswered(self) -> list[Pending]:
        """Return the requests that have no answer yet: after a crash they are sent again."""
        rows = self._store.rows("SELECT revocation_id, request FROM issued WHERE certificate IS NULL")
        found = cast("list[tuple[int, bytes]]", rows)
        return [Pending(number, SignMasterRequest.FromString(raw), None) for number, raw in found]

    def unreported(self, limit: int = 1000) -> list[Mapping]:
        """Return mappings that the CRL service has not confirmed (REVOKE-4); after a crash they are sent again."""
        rows = self._store.rows(
            "SELECT revocation_id, digest, identity, not_after, replaces, revoke_at FROM issued"
            " WHERE reported = 0 AND certificate IS NOT NULL LIMIT ?",
            limit,
        )
        names = "revocation_id", "certificate_digest", "identity", "not_after", "replaces", "revoke_at"
        return [Mapping(**dict(zip(names, row, strict=True))) for row in rows]  # type: ignore[arg-type]  # by column

    def reported(self, mappings: Sequence[Mapping]) -> None:
        """The CRL service has confirmed `mappings`."""
        with self._store.write() as tx:
            rows = [(mapping.revocation_id,) for mapping in mappings]
            tx.executemany("UPDATE issued SET reported = 1 WHERE revocation_id = ?", rows)

    def withdraw(self, tx: sqlite3.Connection, revocation_id: int) -> None:
        """Have a certificate of this issuer revoked with the next report, within a transaction."""
        tx.execute(
            "UPDATE issued SET replaces = revocation_id, revoke_at = ?, reported = 0 WHERE revocation_id = ?",
            (self._now(), revocation_id),
        )

    def has(self, tx: sqlite3.Connection, revocation_id: int) -> bool:
        """Tell whether this issuer gave out `revocation_id`."""
        return bool(tx.execute("SELECT 1 FROM issued WHERE revocation_id = ?", (revocation_id,)).fetchone())

    def certificates(self) -> list[tuple[int, bytes]]:
        """Return every certificate with its ID."""
        rows = self._store.rows("SELECT revocation_id, certificate FROM issued WHERE certificate IS NOT NULL")
        return cast("list[tuple[int, bytes]]", rows)

    def _now(self) -> int:
        return int(self._clock())
