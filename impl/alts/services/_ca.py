"""The internal CA: certificates for humans who prove who they are, and for machines (ISSUE-5, ISSUE-6)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from alts_schema.issuance_pb2 import EnrolRequest, EnrolResponse, KeyRequest, LoginRequest, ProvenKey, SignedMaster

from .._errors import UsageError
from .._names import IDENTITY
from .._trust import HUMAN_LIFETIME, Category
from ._certificates import BACKDATE
from ._crl import is_founding
from ._errors import RequestRefused, Status, denied, invalid
from ._issuing import ISSUING_SCHEMA, Issuing, Pending
from ._passwords import SECRET_SIZE, Cost, PasswordHash, totp_step
from ._proofs import (
    NONCE_SIZE,
    TOKEN_ID_SIZE,
    TOKEN_SIZE,
    check_proof,
    enrolment_binding,
    enrolment_request_mac,
    enrolment_response_mac,
)
from ._store import Store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from .._trust import Peer

_KIND = 0x0A175002
_SCHEMA = (
    *ISSUING_SCHEMA,
    """CREATE TABLE users (
        name TEXT PRIMARY KEY, identity TEXT NOT NULL UNIQUE, salt BLOB NOT NULL,
        n INTEGER NOT NULL, r INTEGER NOT NULL, p INTEGER NOT NULL, digest BLOB NOT NULL,
        totp BLOB NOT NULL, last_step INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0, locked_until INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    """CREATE TABLE tokens (
        token_id BLOB PRIMARY KEY, token BLOB NOT NULL, identity TEXT NOT NULL, expires INTEGER NOT NULL,
        public_key BLOB) WITHOUT ROWID""",
)
DAY = 86400
TOKEN_LIFETIME = DAY
"""Seconds that an enrolment token may be used after it was made."""
MAX_FAILURES = 5
"""Failed logins before an account is locked, for twice as long each time, up to a day."""
_LOCK = 60


@dataclass(frozen=True, slots=True)
class CaSettings:
    """How long certificates last.

    Attributes:
        machine_lifetime: seconds of a machine's master certificate; 0: no expiry (REVOKE-2).
        overlap: seconds after which a replaced machine master is revoked.
        cost: of scrypt for new passwords.
        founding: issuer of the certificates that a realm's first machines got when it was founded (SPEC 13.1.5); they
            are revoked as this CA's own once they are replaced. Empty: none.
    """

    machine_lifetime: int = 180 * DAY
    overlap: int = 7 * DAY
    cost: Cost = field(default_factory=Cost)
    founding: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A one-time permission to enrol a machine; carried to it by its installer."""

    token_id: bytes
    token: bytes = field(repr=False)
    identity: str


class CaCore:
    """What the internal CA decides and keeps.

    A request becomes a `Pending`; the service around takes it to the Signing Service and the answer to `complete`.

    Args:
        path: of the database; None: in memory.
        name: its identity.
        clock: returns seconds since the epoch.
        random: returns that many unpredictable bytes.
        settings: lifetimes.
    """

    def __init__(
        self,
        path: Path | None,
        name: str,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        settings: CaSettings | None = None,
    ) -> None:
        self._store = Store(path, _KIND, _SCHEMA)
        self._clock = clock
        self._random = random
        self._settings = settings or CaSettings()
        self.issuing = Issuing(self._store, name, clock)
        self._nobody = PasswordHash(bytes(16), self._settings.cost, bytes(32))

    # -- humans -----------------------------------------------------------------------------------------------------

    def add_user(self, name: str, identity: str, password: str) -> bytes:
        """Register a human, or change the password of one, and return the TOTP secret, 20 bytes.

        Raises:
            UsageError: a name, identity or password that is none.
        """
        if not IDENTITY.fullmatch(identity) or not IDENTITY.fullmatch(name) or "/" in name:
            raise UsageError("a user has a name of one segment, and an identity")
        secret = self._random(SECRET_SIZE)
        kept = PasswordHash.of(password, self._random, self._settings.cost)
        with self._store.write() as tx:
            other = tx.execute("SELECT name FROM users WHERE identity = ? AND name != ?", (identity, name)).fetchone()
            if other is not None:
                raise UsageError(f"{identity} is the identity of another user")
            tx.execute("DELETE FROM users WHERE name = ?", (name,))
            tx.execute(
                "INSERT INTO users (name, identity, salt, n, r, p, digest, totp) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (name, identity, kept.salt, kept.cost.n, kept.cost.r, kept.cost.p, kept.digest, secret),
            )
        return secret

    def password_of(self, name: str) -> PasswordHash:
        """Return what to compare a password with; of an unknown user, one that no password has (as slow as any)."""
        rows = self._store.rows("SELECT salt, n, r, p, digest FROM users WHERE name = ?", name)
        if not rows:
            return self._nobody
        salt, n, r, p, digest = cast("tuple[bytes, int, int, int, bytes]", rows[0])
        return PasswordHash(salt, Cost(n, r, p), digest)

    def login(self, request: LoginRequest, caller: Peer, binding: bytes, *, password_right: bool) -> Pending:
        """Begin a human's certificate, which lasts 20 hours (ISSUE-5).

        Args:
            request: as received.
            caller: the machine that the human sits at.
            binding: transcript hash of the connection.
            password_right: what `password_of(request.name).verify` said, once; called outside since it is slow.

        Raises:
            RequestRefused: UNAUTHENTICATED, in the same words for every factor that is wrong; RESOURCE_EXHAUSTED
                while the account is locked; PERMISSION_DENIED if the caller is no machine or the key is another's.
        """
        if caller.category is not Category.MACHINE:
            raise denied("a login comes from a machine")
        now = self._now()
        asked = check_proof(request.key, requester=self.issuing.name, binding=binding)
        identity = self._authenticate(request, now, password_right)
        if int(asked.category) != Category.HUMAN or asked.identity != identity:
            raise denied("the key is not for the identity of this user")
        begin = now - BACKDATE
        with self._store.write() as tx:
            return self.issuing.begin(tx, request.key, not_before=begin, not_after=begin + HUMAN_LIFETIME)

    def _authenticate(self, request: LoginRequest, now: int, password_right: bool) -> str:
        """Return the user's identity; a code is used up, or a failure counted, before anything is answered."""
        with self._store.write() as tx:
            row = tx.execute(
                "SELECT identity, totp, last_step, failures, locked_until FROM users WHERE name = ?", (request.name,)
            ).fetchone()
            if row is None:
                raise RequestRefused(Status.UNAUTHENTICATED, "name, password or second factor is wrong")
            identity, secret, last_step, failures, locked_until = row
            if now < locked_until:
                raise RequestRefused(Status.RESOURCE_EXHAUSTED, "too many failed logins; try again later")
            step = totp_step(secret, request.second_factor, now, last_step)
            if right := password_right and step is not None:
                tx.execute("UPDATE users SET failures = 0, last_step = ? WHERE name = ?", (step, request.name))
            else:
                failures += 1
                rounds = failures // MAX_FAILURES
                until = now + min(_LOCK << min(rounds, 16), DAY) if failures % MAX_FAILURES == 0 else 0
                tx.execute(
                    "UPDATE users SET failures = ?, locked_until = ? WHERE name = ?", (failures, until, request.name)
                )
        if not right:
            raise RequestRefused(Status.UNAUTHENTICATED, "name, password or second factor is wrong")
        return str(identity)

    # -- machines ---------------------------------------------------------------------------------------------------

    def add_token(self, identity: str) -> Token:
        """Permit one machine to enrol as `identity`, for a day.

        Raises:
            UsageError: it is no identity.
        """
        if not IDENTITY.fullmatch(identity):
            raise UsageError(f"not an identity: {identity!r}")
        token = Token(self._random(TOKEN_ID_SIZE), self._random(TOKEN_SIZE), identity)
        with self._store.write() as tx:
            row = token.token_id, token.token, identity, self._now() + TOKEN_LIFETIME
            tx.execute("INSERT INTO tokens (token_id, token, identity, expires) VALUES (?, ?, ?, ?)", row)
        return token

    def enrol(self, request: EnrolRequest) -> Pending:
        """Begin the first certificate of a machine (SPEC 13.1.6). A token works for one key; a repeated request finds
        its certificate.

        Raises:
            RequestRefused: UNAUTHENTICATED for a token that is unknown, expired or used, or a wrong MAC.
        """
        asked = self.check_enrolment(request)
        with self._store.write() as tx:
            tx.execute("UPDATE tokens SET public_key = ? WHERE token_id = ?", (asked.public_key, request.token_id))
            return self._begin_machine(tx, request.key, 0)

    def check_enrolment(self, request: EnrolRequest) -> KeyRequest:
        """Check everything about an enrolment and change nothing. Raises as `enrol`."""
        if len(request.token_id) != TOKEN_ID_SIZE or len(request.nonce) != NONCE_SIZE:
            raise invalid("enrolment: token ID or nonce")
        token, identity, expires, used_for = self._token(request.token_id)
        if not hmac.compare_digest(enrolment_request_mac(token, request), request.mac):
            raise RequestRefused(Status.UNAUTHENTICATED, "enrolment: token or MAC")
        binding = enrolment_binding(request.token_id, request.nonce)
        asked = check_proof(request.key, requester=self.issuing.name, binding=binding)
        if int(asked.category) != Category.MACHINE or asked.identity != identity:
            raise denied("enrolment: the token is for another entity")
        if (used_for is None and self._now() >= expires) or used_for not in (None, asked.public_key):
            raise RequestRefused(Status.UNAUTHENTICATED, "enrolment: token or MAC")
        return asked

    def enrolled(self, request: EnrolRequest, certificate: bytes) -> EnrolResponse:
        """Return the answer to `request`, authenticated under its token."""
        response = EnrolResponse(master=SignedMaster(certificate=certificate))
        response.mac = enrolment_response_mac(self._token(request.token_id)[0], request, response)
        return response

    def renew_machine(self, key: ProvenKey, caller: Peer, binding: bytes) -> Pending:
        """Begin the next master certificate of the machine that calls; its present one is revoked after a while.

        Raises:
            RequestRefused: PERMISSION_DENIED; the caller is no machine, or asks for another.
        """
        asked = check_proof(key, requester=self.issuing.name, binding=binding)
        own = int(asked.category), asked.identity
        if caller.category is not Category.MACHINE or own != (Category.MACHINE, caller.identity):
            raise denied("a machine renews its own certificate")
        with self._store.write() as tx:
            present = caller.revocation_ids[1]
            # any issuer may write any ID into what it has signed: it counts only in what has it from the right one
            founded = caller.issuer == self._settings.founding and is_founding(present)
            ours = caller.issuer == self.issuing.name and self.issuing.has(tx, present)
            return self._begin_machine(tx, key, present if founded or ours else 0)

    def _begin_machine(self, tx: sqlite3.Connection, key: ProvenKey, replaces: int) -> Pending:
        begin, lifetime = self._now() - BACKDATE, self._settings.machine_lifetime
        return self.issuing.begin(
            tx,
            key,
            not_before=begin,
            not_after=begin + lifetime if lifetime else 0,
            replaces=replaces,
            revoke_at=self._now() + self._settings.overlap if replaces else 0,
        )

    def _token(self, token_id: bytes) -> tuple[bytes, str, int, bytes | None]:
        rows = self._store.rows("SELECT token, identity, expires, public_key FROM tokens WHERE token_id = ?", token_id)
        if not rows:
            raise RequestRefused(Status.UNAUTHENTICATED, "enrolment: token or MAC")
        return cast("tuple[bytes, str, int, bytes | None]", rows[0])

    # -- both -------------------------------------------------------------------------------------------------------

    def complete(self, pending: Pending, certificate: bytes) -> SignedMaster:
        """Keep what the Signing Service answered, and return it for the one who asked (ISSUE-3).

        Raises:
            RequestRefused: INTERNAL; it is not what was asked for.
        """
        with self._store.write() as tx:
            return SignedMaster(certificate=self.issuing.complete(tx, pending, certificate))

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _now(self) -> int:
        return int(self._clock())
