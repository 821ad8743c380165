"""A machine's agent: holds the master key, makes and rotates handshake certificates (ISSUE-4, ISSUE-6, CRED-5)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts_schema.issuance_pb2 import EnrolRequest, EnrolResponse, KeyRequest, ProvenKey

from .._errors import UsageError
from .._issuer import MasterKey
from .._trust import Category
from ._certificates import BACKDATE, make_credential, parse_master, require_answer
from ._errors import RequestRefused, Status
from ._proofs import (
    NONCE_SIZE,
    decode,
    enrolment_binding,
    enrolment_request_mac,
    enrolment_response_mac,
    prove,
)
from ._store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .._config import Credential
    from ._ca import Token

_KIND = 0x0A175004
_SCHEMA = (
    """CREATE TABLE masters (
        number INTEGER PRIMARY KEY, identity TEXT NOT NULL, key BLOB NOT NULL, certificate BLOB,
        created INTEGER NOT NULL, installed INTEGER)""",
)
HOUR, DAY = 3600, 86400


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """When an agent rotates.

    Attributes:
        handshake_lifetime: seconds of a handshake certificate; a new one is made at half of it (ISSUE-6: hours).
        master_rotation: seconds after which the master certificate is renewed (ISSUE-6: every few months).
        boundary: of the machine, or empty (REC-7).
    """

    handshake_lifetime: int = 6 * HOUR
    master_rotation: int = 90 * DAY
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A master key that has no certificate yet; it is on disk."""

    number: int
    identity: str
    key: Ed25519PrivateKey = field(repr=False)


class AgentCore:
    """What a machine's agent decides and keeps.

    Args:
        path: of the database; None: in memory.
        clock: returns seconds since the epoch.
        random: returns that many unpredictable bytes.
        settings: when to rotate.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        settings: AgentSettings | None = None,
    ) -> None:
        self._store = Store(path, _KIND, _SCHEMA)
        self._clock = clock
        self._random = random
        self._settings = settings or AgentSettings()
        self._credential: Credential | None = None
        self._made = 0

    # -- the master certificate -------------------------------------------------------------------------------------

    def master(self) -> MasterKey | None:
        """Return the master key in use; None before enrolment.

        It is the newest, or the one before where that is valid now and the newest is not: all clocks were ahead when it
        was made, and have been set right.
        """
        rows = self._store.rows(
            "SELECT certificate, key FROM masters WHERE certificate IS NOT NULL ORDER BY number DESC"
        )
        if not rows:
            return None
        now = self._now()
        masters = cast("list[tuple[bytes, bytes]]", rows)
        bodies = [parse_master(certificate) for certificate, _ in masters]
        valid = [body.not_before <= now and not 0 < body.not_after <= now for body in bodies]
        certificate, key = masters[valid.index(True) if True in valid else 0]
        return MasterKey(certificate, Ed25519PrivateKey.from_private_bytes(key))

    def new_key(self, identity: str) -> NewKey:
        """Return a master key to have certified: one that waits for its certificate already, or a new one.

        It is on disk before anybody hears of it, so that a certificate never arrives for a key that is lost.
        """
        with self._store.write() as tx:
            row = tx.execute(
                "SELECT number, key FROM masters WHERE certificate IS NULL AND identity = ?", (identity,)
            ).fetchone()
            if row is None:
                key = self._random(32)
                sql = "INSERT INTO masters (identity, key, created) VALUES (?, ?, ?)"
                row = tx.execute(sql, (identity, key, self._now())).lastrowid, key
        return NewKey(row[0], identity, Ed25519PrivateKey.from_private_bytes(row[1]))

    def install(self, new: NewKey, certificate: bytes, requester: str) -> None:
        """Keep the master certificate of `new`, and use it from now on; the one before it is kept until the next.

        Raises:
            RequestRefused: INTERNAL; it is not what was asked for. FAILED_PRECONDITION; it is not valid now.
            PeerViolation: it is no certificate.
        """
        body = require_answer(
            certificate, decode(KeyRequest, prove_machine(new, requester, bytes(32)).request), requester
        )
        now = self._now()
        if body.not_before > now:
            with self._store.write() as tx:
                # one of the two clocks was or is wrong. The same key gets the same certificate: wait for that, as an
                # enrolment token works for one key; but not for ever, nor with a new key at each try
                sql = "DELETE FROM masters WHERE number = ? AND certificate IS NULL AND NOT created BETWEEN ? AND ?"
                tx.execute(sql, (new.number, now - HOUR, now))
            raise RequestRefused(
                Status.FAILED_PRECONDITION,
                f"the certificate is valid in {body.not_before - now} s only: this clock is behind, or the CA's ahead",
            )
        if body.not_after and body.not_after <= now:
            with self._store.write() as tx:  # it was certified long ago, unheard; the next request has a new key
                tx.execute("DELETE FROM masters WHERE number = ? AND certificate IS NULL", (new.number,))
            raise RequestRefused(Status.FAILED_PRECONDITION, "the certificate has expired already")
        with self._store.write() as tx:
            tx.execute(
                "UPDATE masters SET certificate = ?, installed = ? WHERE number = ?",
                (certificate, self._now(), new.number),
            )
            tx.execute(
                "DELETE FROM masters WHERE number != ? AND (certificate IS NULL OR number <"
                " (SELECT MAX(number) FROM masters WHERE certificate IS NOT NULL AND number != ?))",
                (new.number, new.number),
            )
        self._credential = None

    def install_founding(self, certificate: bytes, key: Ed25519PrivateKey, identity: str) -> None:
        """Keep a master certificate and key that were made when the realm was founded (SPEC 13.1.5)."""
        with self._store.write() as tx:
            tx.execute(
                "INSERT INTO masters (identity, key, certificate, created, installed) VALUES (?, ?, ?, ?, ?)",
                (identity, key.private_bytes_raw(), certificate, self._now(), self._now()),
            )
        self._credential = None

    @property
    def renewal_due(self) -> bool:
        """Whether the master certificate is to be renewed: by age, or since two thirds of its life are over."""
        rows = self._store.rows(
            "SELECT certificate, installed FROM masters WHERE certificate IS NOT NULL ORDER BY number DESC LIMIT 1"
        )
        if not rows:
            return False
        certificate, installed = cast("tuple[bytes, int]", rows[0])
        body = parse_master(certificate)
        now = self._now()
        late = bool(body.not_after) and now >= body.not_after - (body.not_after - body.not_before) // 3
        # also if it was installed by a clock that was ahead: that it is old would be noticed late
        return late or not -BACKDATE <= now - installed < self._settings.master_rotation

    # -- handshake certificates -------------------------------------------------------------------------------------

    @property
    def credential_due(self) -> bool:
        """Whether `credential` would make a new one."""
        half = max(1, self._settings.handshake_lifetime // 2)
        return self._credential is None or not 0 <= self._now() - self._made < half  # also if a clock was set back

    def credential(self) -> Credential:
        """Return the machine's handshake credential, a new one if half of the last one's life is over (CRED-5).

        Raises:
            UsageError: the machine has no master certificate.
        """
        if self._credential is None or self.credential_due:
            master = self.master()
            if master is None:
                raise UsageError("this machine is not enrolled")
            now, settings = self._now(), self._settings
            self._credential = make_credential(
                master, self._random, now, lifetime=settings.handshake_lifetime, boundary=settings.boundary
            )
            self._made = now
        return self._credential

    # -- enrolment --------------------------------------------------------------------------------------------------

    def enrol_request(self, token: Token, ca: str) -> tuple[NewKey, EnrolRequest]:
        """Ask the CA for the first certificate (SPEC 13.1.6)."""
        new = self.new_key(token.identity)
        nonce = self._random(NONCE_SIZE)
        key = prove_machine(new, ca, enrolment_binding(token.token_id, nonce))
        request = EnrolRequest(token_id=token.token_id, nonce=nonce, key=key)
        request.mac = enrolment_request_mac(token.token, request)
        return new, request

    def enrolled(self, token: Token, new: NewKey, request: EnrolRequest, response: EnrolResponse, ca: str) -> None:
        """Take the CA's answer.

        Raises:
            RequestRefused: UNAUTHENTICATED; it does not come from one who knows the token.
        """
        if not hmac.compare_digest(enrolment_response_mac(token.token, request, response), response.mac):
            raise RequestRefused(Status.UNAUTHENTICATED, "enrolment: the answer does not come from the CA")
        self.install(new, response.master.certificate, ca)

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _now(self) -> int:
        return int(self._clock())


def prove_machine(new: NewKey, requester: str, binding: bytes) -> ProvenKey:
    """Return the request of a machine for its new master key, to be sent on the connection of `binding`."""
    return prove(new.key, category=Category.MACHINE, identity=new.identity, requester=requester, binding=binding)
