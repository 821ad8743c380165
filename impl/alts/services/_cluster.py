"""The cluster master of one cell: starts workloads and keeps them in credentials (ISSUE-7 to ISSUE-9, CRED-6)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts_schema.issuance_pb2 import Assignment, AssignmentsResponse, CredentialBundle, ResumptionKey

from .._errors import UsageError
from .._issuer import MasterKey
from .._messages import RESUMPTION_ID_SIZE
from .._names import IDENTITY, PATTERN
from .._resumption import TICKET_LIFETIME
from .._tickets import KEY_SIZE
from .._trust import Category, matches
from ._certificates import BACKDATE, make_credential
from ._errors import RequestRefused, Status, denied, invalid
from ._issuing import ISSUING_SCHEMA, LOW_RANGE, Issuing, Pending
from ._proofs import prove
from ._store import Store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from .._trust import Peer

_KIND = 0x0A175005
_SCHEMA = (
    *ISSUING_SCHEMA,
    """CREATE TABLE bases (
        epoch INTEGER PRIMARY KEY, key BLOB NOT NULL, certificate BLOB, created INTEGER NOT NULL)""",
    """CREATE TABLE resumption (
        identity TEXT NOT NULL, cell TEXT NOT NULL, resumption_id BLOB NOT NULL, PRIMARY KEY (identity, cell))
        WITHOUT ROWID""",
    """CREATE TABLE resumption_keys (
        identity TEXT NOT NULL, cell TEXT NOT NULL, epoch INTEGER NOT NULL, key BLOB NOT NULL, created INTEGER NOT NULL,
        PRIMARY KEY (identity, cell, epoch)) WITHOUT ROWID""",
    """CREATE TABLE workloads (
        workload TEXT PRIMARY KEY, identity TEXT NOT NULL, node TEXT NOT NULL, client TEXT NOT NULL, certificate BLOB,
        key BLOB, revocation_id INTEGER NOT NULL, running INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE counters (version INTEGER NOT NULL)",
    "INSERT INTO counters VALUES (1)",
    """CREATE TABLE workload_ids (
        revocation_id INTEGER PRIMARY KEY, workload TEXT NOT NULL, not_after INTEGER NOT NULL)""",
    "CREATE INDEX workload_ids_by_workload ON workload_ids (workload)",
    """INSERT INTO workload_ids SELECT revocation_id, workload, not_after
        FROM workloads JOIN issued USING (revocation_id) WHERE running = 1""",
)
DAY = 86400
MAX_EPOCHS = 8
REQUEST_ID_SIZE = 16


@dataclass(frozen=True, slots=True)
class MayRun:
    """Clients that match `client` may run workloads as identities that match `workload` (ISSUE-7).

    Raises:
        UsageError: a pattern is not one (SPEC 4.4).
    """

    client: str
    workload: str

    def __post_init__(self) -> None:
        for pattern in (self.client, self.workload):
            if not PATTERN.fullmatch(pattern):
                raise UsageError(f"not an identity pattern: {pattern!r}")


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What a cluster master may do and when it rotates.

    Attributes:
        cell: its cell, one identity segment.
        workload_identities: patterns that are signed into the base workload master.
        may_run: who may run what; nothing else may be run.
        operators: identity patterns of those who may stop every workload and have everything rotated.
        rotation: seconds; base master, workload certificates and resumption keys are rotated so often (ISSUE-8).
        lifetime: seconds of a base master, and of what it signs: room for a rotation that fails.
    """

    cell: str
    workload_identities: tuple[str, ...]
    may_run: tuple[MayRun, ...]
    operators: tuple[str, ...] = ()
    rotation: int = 2 * DAY
    lifetime: int = 4 * DAY


class ClusterCore:
    """What a cluster master decides and keeps.

    Args:
        path: of the database; None: in memory.
        name: its identity, which its certificates name as issuer.
        clock: returns seconds since the epoch.
        random: returns that many unpredictable bytes.
        settings: what it may do and when it rotates.
    """

    def __init__(
        self,
        path: Path | None,
        name: str,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        settings: ClusterSettings,
    ) -> None:
        self._store = Store(path, _KIND, _SCHEMA)
        self._clock = clock
        self._random = random
        self._settings = settings
        self.issuing = Issuing(self._store, name, clock)

    # -- the base workload master -----------------------------------------------------------------------------------

    @property
    def rotation_due(self) -> bool:
        """Whether there is no base master, or it is so old that everything is to be rotated (ISSUE-8).

        Also if it was made by a clock that was ahead: it is not valid now, and would not be found old in time.
        """
        rows = self._store.rows("SELECT MAX(created) FROM bases WHERE certificate IS NOT NULL")
        newest = cast("int | None", rows[0][0])
        return newest is None or not -BACKDATE <= self._now() - newest < self._settings.rotation

    @property
    def ids_needed(self) -> int:
        """How many free revocation IDs a rotation takes, and some."""
        rows = self._store.rows("SELECT COUNT(*) FROM workloads WHERE running = 1")
        return cast("int", rows[0][0]) + LOW_RANGE

    def begin_rotation(self, binding: bytes) -> Pending:
        """Make a base master key pair, and the request to have it signed (ISSUE-7); one that waits is asked for again.

        Args:
            binding: transcript hash of the connection to the Signing Service.
        """
        now, settings = self._now(), self._settings
        with self._store.write() as tx:
            row = tx.execute("SELECT key FROM bases WHERE certificate IS NULL").fetchone()
            if row is None:
                row = (self._random(32),)
                tx.execute("INSERT INTO bases (key, created) VALUES (?, ?)", (*row, now))
            key = prove(
                Ed25519PrivateKey.from_private_bytes(row[0]),
                category=Category.WORKLOAD,
                identity=self.issuing.name,
                requester=self.issuing.name,
                binding=binding,
                workload_identities=settings.workload_identities,
            )
            begin = now - BACKDATE
            return self.issuing.begin(tx, key, not_before=begin, not_after=now + settings.lifetime)

    def complete_rotation(self, pending: Pending, certificate: bytes) -> int:
        """Take the signed base master into use: all running workloads get new certificates, all resumption keys a new
        epoch, in one transaction (ISSUE-8). Return the base's epoch.

        Raises:
            RequestRefused: INTERNAL, it is not what was asked for; UNAVAILABLE, too few revocation IDs.
            PeerViolation: it is no certificate.
        """
        now = self._now()
        with self._store.write() as tx:
            self.issuing.complete(tx, pending, certificate)
            row = tx.execute("SELECT epoch, key FROM bases WHERE certificate IS NULL").fetchone()
            if row is None:
                raise RequestRefused(Status.FAILED_PRECONDITION, "no rotation was begun")
            tx.execute("UPDATE bases SET certificate = ? WHERE epoch = ?", (certificate, row[0]))
            tx.execute("DELETE FROM bases WHERE epoch < ?", (row[0],))
            base = MasterKey(certificate, Ed25519PrivateKey.from_private_bytes(row[1]))
            if base.body.not_before <= now < base.body.not_after:  # else the next rotation is due at once
                for workload, identity in tx.execute(
                    "SELECT workload, identity FROM workloads WHERE running = 1"
                ).fetchall():
                    self._issue(tx, base, workload, identity)
            pairs = tx.execute("SELECT identity, cell FROM resumption").fetchall()
            for identity, cell in pairs:
                self._new_epoch(tx, identity, cell)
            self._changed(tx)
        return int(row[0])

    def _base(self, tx: sqlite3.Connection) -> MasterKey:
        row = tx.execute("SELECT certificate, key FROM bases WHERE certificate IS NOT NULL").fetchone()
        if row is None:
            raise RequestRefused(Status.UNAVAILABLE, "there is no base workload master yet")
        base = MasterKey(row[0], Ed25519PrivateKey.from_private_bytes(row[1]))
        if not base.body.not_before <= self._now() < base.body.not_after:
            raise RequestRefused(Status.UNAVAILABLE, "the base workload master is not valid now; it has to be rotated")
        return base

    # -- workloads --------------------------------------------------------------------------------------------------

    def schedule(self, request_id: bytes, identity: str, node: str, caller: Peer) -> str:
        """Start a workload: check that the client may, issue its certificate; return its name (ISSUE-7).

        Args:
            request_id: 16 bytes; the same one starts nothing new.
            identity: to run as.
            node: identity of the machine to run on.
            caller: the client.

        Raises:
            RequestRefused: PERMISSION_DENIED; the client may not run workloads as that identity. UNAVAILABLE; there is
                no base master or no revocation ID.
        """
        if len(request_id) != REQUEST_ID_SIZE or not IDENTITY.fullmatch(identity) or not IDENTITY.fullmatch(node):
            raise invalid("schedule: request ID, identity or node")
        self.require_may_run(caller, identity)
        workload = request_id.hex()
        with self._store.write() as tx:
            row = tx.execute("SELECT identity, node, client FROM workloads WHERE workload = ?", (workload,)).fetchone()
            if row is not None:
                if row != (identity, node, caller.identity):
                    raise RequestRefused(
                        Status.ALREADY_EXISTS, "schedule: the request ID was used for another workload"
                    )
                return workload
            base = self._base(tx)
            if not any(matches(pattern, identity) for pattern in base.body.workload_identities):
                raise denied(f"this cluster runs no workloads as {identity}")
            sql = "INSERT INTO workloads VALUES (?, ?, ?, ?, NULL, NULL, 0, 1)"
            tx.execute(sql, (workload, identity, node, caller.identity))
            self._issue(tx, base, workload, identity)
            cell = self._settings.cell
            if not tx.execute("SELECT 1 FROM resumption WHERE identity = ? AND cell = ?", (identity, cell)).fetchone():
                row = identity, cell, self._random(RESUMPTION_ID_SIZE)
                tx.execute("INSERT INTO resumption VALUES (?, ?, ?)", row)
                self._new_epoch(tx, identity, cell)
            self._changed(tx)
        return workload

    def stop(self, workload: str, caller: Peer) -> None:
        """Stop a workload; its certificates are revoked with the next report, also those that a rotation replaced.

        Raises:
            RequestRefused: NOT_FOUND; PERMISSION_DENIED unless the caller may run it, or is an operator.
        """
        operator = any(matches(pattern, caller.identity) for pattern in self._settings.operators)
        with self._store.write() as tx:
            row = tx.execute("SELECT identity, revocation_id FROM workloads WHERE workload = ?", (workload,)).fetchone()
            if row is None:
                raise RequestRefused(Status.NOT_FOUND, "stop: no such workload")
            if not operator:
                self.require_may_run(caller, row[0])
            tx.execute(
                "UPDATE workloads SET running = 0, certificate = NULL, key = NULL WHERE workload = ?", (workload,)
            )
            numbers = tx.execute(
                # what is over here may not be for one whose clock is behind
                "SELECT revocation_id FROM workload_ids WHERE workload = ? AND not_after > ?",
                (workload, self._now() - BACKDATE),
            ).fetchall()
            for number in {row[1], *(number for (number,) in numbers)}:
                self.issuing.withdraw(tx, number)
            tx.execute("DELETE FROM workload_ids WHERE workload = ?", (workload,))
            self._changed(tx)

    def require_operator(self, caller: Peer) -> None:
        """Refuse a caller who may not have everything rotated.

        Raises:
            RequestRefused: PERMISSION_DENIED.
        """
        if not any(matches(pattern, caller.identity) for pattern in self._settings.operators):
            raise denied("only an operator may have everything rotated")

    def assignments(self, caller: Peer, after: int) -> AssignmentsResponse | None:
        """Return what runs on the calling machine, with private keys and resumption keys; None: nothing changed since.

        Args:
            caller: the node agent.
            after: the version that it has.

        Raises:
            RequestRefused: PERMISSION_DENIED; it is no machine.
        """
        if caller.category is not Category.MACHINE:
            raise denied("workloads are handed to machines")
        ((version,),) = self._store.rows("SELECT version FROM counters")
        if cast("int", version) == after:
            return None
        response = AssignmentsResponse(version=cast("int", version))
        rows = self._store.rows(
            "SELECT workload, identity, certificate, key FROM workloads WHERE node = ? AND running = 1 ORDER BY 1",
            caller.identity,
        )
        for workload, identity, certificate, key in cast("list[tuple[str, str, bytes, bytes]]", rows):
            bundle = self._resumption(identity)
            bundle.certificate, bundle.private_key = certificate, key
            response.assignments.append(Assignment(workload=workload, credential=bundle))
        return response

    def _resumption(self, identity: str) -> CredentialBundle:
        """Return the resumption ID and keys that all workloads of `identity` in this cell share (ISSUE-9)."""
        cell = self._settings.cell
        ((resumption_id,),) = self._store.rows(
            "SELECT resumption_id FROM resumption WHERE identity = ? AND cell = ?", identity, cell
        )
        keys = self._store.rows(
            "SELECT epoch, key FROM resumption_keys WHERE identity = ? AND cell = ? ORDER BY epoch", identity, cell
        )
        return CredentialBundle(
            identity=identity,
            cell=cell,
            resumption_id=cast("bytes", resumption_id),
            resumption_keys=[ResumptionKey(epoch=cast("int", e), key=cast("bytes", k)) for e, k in keys],
        )

    def _issue(self, tx: sqlite3.Connection, base: MasterKey, workload: str, identity: str) -> None:
        """Issue a workload's handshake certificate, whose ID is of this issuer's range (REVOKE-5)."""
        number = self.issuing.take(tx, Category.WORKLOAD)
        credential = make_credential(
            base, self._random, self._now(), lifetime=0, identity=identity, revocation_id=number
        )
        end = credential.parsed.body.not_after
        self.issuing.note(tx, number, identity, credential.certificate, end)
        tx.execute("INSERT INTO workload_ids VALUES (?, ?, ?)", (number, workload, end))
        tx.execute(
            "UPDATE workloads SET certificate = ?, key = ?, revocation_id = ? WHERE workload = ?",
            (credential.certificate, credential.private_key.private_bytes_raw(), number, workload),
        )

    def _new_epoch(self, tx: sqlite3.Connection, identity: str, cell: str) -> None:
        """Add a resumption key; one stays for as long as tickets that were made under it before this moment live."""
        rows = tx.execute(
            "SELECT epoch, created FROM resumption_keys WHERE identity = ? AND cell = ? ORDER BY epoch",
            (identity, cell),
        ).fetchall()
        now = self._now()
        newest = rows[-1][0] if rows else 0
        row = identity, cell, newest + 1, self._random(KEY_SIZE), now
        tx.execute("INSERT INTO resumption_keys VALUES (?, ?, ?, ?, ?)", row)
        # a key was in use until its successor was made
        old = [e for (e, _), (_, end) in itertools.pairwise(rows) if end + TICKET_LIFETIME <= now]
        old += [epoch for epoch, _ in rows[: -(MAX_EPOCHS - 1)]]
        tx.executemany(
            "DELETE FROM resumption_keys WHERE identity = ? AND cell = ? AND epoch = ?",
            [(identity, cell, epoch) for epoch in old],
        )

    def require_may_run(self, caller: Peer, identity: str) -> None:
        """Refuse a client that may not run workloads as `identity` (ISSUE-7).

        Raises:
            RequestRefused: PERMISSION_DENIED.
        """
        rules = self._settings.may_run
        if not any(matches(rule.client, caller.identity) and matches(rule.workload, identity) for rule in rules):
            raise denied(f"{caller.identity} may not run workloads as {identity}")

    @staticmethod
    def _changed(tx: sqlite3.Connection) -> None:
        tx.execute("UPDATE counters SET version = version + 1")

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _now(self) -> int:
        return int(self._clock())
