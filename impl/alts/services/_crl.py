"""The CRL service: ranges of revocation IDs, mapping reports, the file of all revoked IDs (REVOKE-3 to -7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from alts_schema.issuance_pb2 import Mapping, ReportRequest, RevocationRange, RevokeRequest

from .._trust import CATEGORY_SHIFT, Category, matches
from ._errors import RequestRefused, Status, denied, invalid
from ._store import Store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .._trust import Peer

_KIND = 0x0A175003
_SCHEMA = (
    """CREATE TABLE ranges (
        first INTEGER PRIMARY KEY, count INTEGER NOT NULL, issuer TEXT NOT NULL, granted INTEGER NOT NULL)""",
    """CREATE TABLE mappings (
        revocation_id INTEGER PRIMARY KEY, digest BLOB NOT NULL, identity TEXT NOT NULL, issuer TEXT NOT NULL,
        not_after INTEGER NOT NULL, reported INTEGER NOT NULL)""",
    """CREATE TABLE revoked (
        revocation_id INTEGER PRIMARY KEY, at INTEGER NOT NULL, requester TEXT NOT NULL, reason TEXT NOT NULL,
        published INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE publication (
        id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL, issued INTEGER NOT NULL,
        content BLOB NOT NULL)""",
    "CREATE INDEX revoked_at ON revoked (published, at)",
)
FIRST_ID = 1 << 16
"""Certificate IDs below are for the founding of a realm (SPEC 13.1.5)."""
MAX_RANGE = 1 << 20
MAX_REPORT = 4096
_ID_MASK = (1 << CATEGORY_SHIFT) - 1
_MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class CrlSettings:
    """Who may do what, as identity patterns, and how often a file is made anew.

    Attributes:
        issuers: who gets ranges.
        operators: who may revoke every ID; an issuer may revoke those of its own ranges.
        max_age: seconds after which a file is made anew though nothing was revoked, so that it never looks stale.
        ca: identity of who renews machines, and so has the certificates replaced that they got at the founding, whose
            IDs are of no range (SPEC 13.1.5); empty: nobody.
    """

    issuers: tuple[str, ...]
    operators: tuple[str, ...] = ()
    max_age: int = 3600
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """A compiled and signed revocation file."""

    sequence: int
    issued: int
    content: bytes


class CrlCore:
    """What the CRL service decides and keeps.

    Args:
        path: of the database; None: in memory.
        clock: returns seconds since the epoch.
        compile_file: makes the signed file of revoked IDs (ascending), a sequence number and an issue time.
        settings: who may do what.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Callable[[], float],
        compile_file: Callable[[Sequence[int], int, int], bytes],
        settings: CrlSettings,
    ) -> None:
        self._store = Store(path, _KIND, _SCHEMA)
        self._clock = clock
        self._compile = compile_file
        self._settings = settings

    def grant(self, count: int, caller: Peer) -> RevocationRange:
        """Give an issuer a range of certificate IDs that nobody had before (REVOKE-3).

        Raises:
            RequestRefused: the caller is no issuer; too many at once; all IDs are given out.
        """
        if not any(matches(pattern, caller.identity) for pattern in self._settings.issuers):
            raise denied("only issuers get ranges of revocation IDs")
        if not 0 < count <= MAX_RANGE:
            raise invalid(f"a range has 1 to {MAX_RANGE} IDs")
        with self._store.write() as tx:
            first = max(FIRST_ID, tx.execute("SELECT COALESCE(MAX(first + count), 0) FROM ranges").fetchone()[0])
            if first + count > 1 << CATEGORY_SHIFT:
                raise RequestRefused(Status.RESOURCE_EXHAUSTED, "all revocation IDs are given out")
            tx.execute("INSERT INTO ranges VALUES (?, ?, ?, ?)", (first, count, caller.identity, self._now()))
        return RevocationRange(first=first, count=count)

    def report(self, request: ReportRequest, caller: Peer) -> None:
        """Keep which certificate has which ID (REVOKE-4); the same report twice is one.

        Raises:
            RequestRefused: an ID that is not of the caller's ranges, or that another certificate has.
        """
        if len(request.mappings) > MAX_REPORT:
            raise invalid(f"at most {MAX_REPORT} mappings in one report")
        with self._store.write() as tx:
            for mapping in request.mappings:
                self._report(tx, mapping, caller.identity)

    def _report(self, tx: sqlite3.Connection, mapping: Mapping, issuer: str) -> None:
        number = mapping.revocation_id
        if len(mapping.certificate_digest) != 32 or mapping.not_after >= 1 << 62 or mapping.revoke_at >= 1 << 62:
            raise invalid("mapping: certificate digest or time")
        self._require_owner(tx, number, issuer)
        known = tx.execute("SELECT digest FROM mappings WHERE revocation_id = ?", (number,)).fetchone()
        if known is not None and known[0] != mapping.certificate_digest:
            raise RequestRefused(Status.ALREADY_EXISTS, f"{number:#018x} is the ID of another certificate")
        row = number, mapping.certificate_digest, mapping.identity, issuer, mapping.not_after, self._now()
        tx.execute("INSERT OR IGNORE INTO mappings VALUES (?, ?, ?, ?, ?, ?)", row)
        if mapping.replaces:
            if issuer != self._settings.ca or not is_founding(mapping.replaces):
                self._require_owner(tx, mapping.replaces, issuer)
            _revoke(tx, mapping.replaces, mapping.revoke_at, issuer, "replaced")

    def revoke(self, request: RevokeRequest, caller: Peer) -> None:
        """Revoke IDs now; `publish` then makes the file that says so.

        Raises:
            RequestRefused: no revocation ID, or neither an operator nor the issuer of it.
        """
        operator = any(matches(pattern, caller.identity) for pattern in self._settings.operators)
        numbers, reason = request.revocation_ids, request.reason[:_MAX_REASON]
        if not 0 < len(numbers) <= MAX_REPORT or any(
            number >> CATEGORY_SHIFT not in set(Category) for number in numbers
        ):
            raise invalid("not a list of revocation IDs")
        with self._store.write() as tx:
            for number in numbers:
                if not operator:
                    self._require_owner(tx, number, caller.identity)
                _revoke(tx, number, self._now(), caller.identity, reason)

    @staticmethod
    def _require_owner(tx: sqlite3.Connection, number: int, issuer: str) -> None:
        row = tx.execute(
            "SELECT first, count, issuer FROM ranges WHERE first <= ? ORDER BY first DESC LIMIT 1", (number & _ID_MASK,)
        ).fetchone()
        inside = row is not None and (number & _ID_MASK) < row[0] + row[1]
        if not inside or row[2] != issuer or number >> CATEGORY_SHIFT not in set(Category):
            raise denied(f"{number:#018x} is not of a range of {issuer}")

    def publication(self) -> Publication | None:
        """Return the newest file, None before the first."""
        rows = self._store.rows("SELECT sequence, issued, content FROM publication")
        return Publication(*cast("tuple[int, int, bytes]", rows[0])) if rows else None

    def publish(self, *, force: bool = False) -> Publication:
        """Return the newest file; a new one if something was revoked since, it is old, or `force` is set (REVOKE-7).

        Its bytes are on disk before anybody sees them: a sequence number has one file for ever. An ID whose certificate
        expired long ago is still listed: clocks may be wrong (REVOKE-2).
        """
        now, before = self._now(), self.publication()
        due = self._store.rows("SELECT 1 FROM revoked WHERE published = 0 AND at <= ? LIMIT 1", now)
        if before is not None and not due and not force and now - before.issued < self._settings.max_age:
            return before
        with self._store.write() as tx:
            last = tx.execute("SELECT sequence FROM publication").fetchone()  # another process may have published
            sequence = last[0] + 1 if last is not None else 1
            rows = tx.execute("SELECT revocation_id FROM revoked WHERE published = 1 OR at <= ? ORDER BY 1", (now,))
            content = self._compile([row[0] for row in rows], sequence, now)
            tx.execute("INSERT OR REPLACE INTO publication VALUES (1, ?, ?, ?)", (sequence, now, content))
            tx.execute("UPDATE revoked SET published = 1 WHERE published = 0 AND at <= ?", (now,))
        return Publication(sequence, now, content)

    def mapping(self, revocation_id: int) -> tuple[str, bytes] | None:
        """Return identity and SHA-256 of the certificate that has an ID, None if none was reported."""
        rows = self._store.rows("SELECT identity, digest FROM mappings WHERE revocation_id = ?", revocation_id)
        return cast("tuple[str, bytes]", rows[0]) if rows else None

    def find(self, identity: str) -> list[int]:
        """Return the IDs that were reported for `identity`, newest last: for an operator who has to revoke one."""
        rows = self._store.rows(
            "SELECT revocation_id FROM mappings WHERE identity = ? ORDER BY reported, revocation_id", identity
        )
        return [cast("int", row[0]) for row in rows]

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _now(self) -> int:
        return int(self._clock())


def is_founding(number: int) -> bool:
    """Tell whether a revocation ID is of a machine's certificate from the founding of a realm (SPEC 13.1.5)."""
    return number >> CATEGORY_SHIFT == Category.MACHINE and 0 < number & _ID_MASK < FIRST_ID


def _revoke(tx: sqlite3.Connection, number: int, at: int, requester: str, reason: str) -> None:
    """Revoke; an earlier time wins, and what is revoked never comes back."""
    tx.execute(
        "INSERT INTO revoked (revocation_id, at, requester, reason) VALUES (?, ?, ?, ?) ON CONFLICT (revocation_id)"
        " DO UPDATE SET at = min(at, excluded.at)",
        (number, at, requester, reason),
    )
