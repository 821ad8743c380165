"""How the internal CA knows a human: password (scrypt, RFC 7914) and second factor (TOTP, RFC 6238) (ISSUE-5)."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from .._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_PASSWORD, MAX_PASSWORD = 12, 1024
"""Bytes of a password."""
STEP, DIGITS, SECRET_SIZE = 30, 6, 20
"""Seconds of a TOTP step, digits of a code, bytes of a TOTP secret."""
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_HASH_SIZE, _SALT_SIZE = 32, 16


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of scrypt: `n` a power of two; memory is 128 n r bytes."""

    n: int = 1 << 15
    r: int = 8
    p: int = 1


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A password as the CA keeps it."""

    salt: bytes
    cost: Cost
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str, random: Callable[[int], bytes], cost: Cost) -> PasswordHash:
        """Hash a new password.

        Raises:
            UsageError: it is too short or too long.
        """
        if not MIN_PASSWORD <= len(password.encode()) <= MAX_PASSWORD:
            raise UsageError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} bytes")
        salt = random(_SALT_SIZE)
        return cls(salt, cost, _scrypt(password, salt, cost))

    def verify(self, password: str) -> bool:
        """Tell whether it is the password. Slow on purpose: run it in a thread."""
        if len(password.encode()) > MAX_PASSWORD:
            return False
        return hmac.compare_digest(_scrypt(password, self.salt, self.cost), self.digest)


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    room = 256 * cost.n * cost.r + (1 << 20)
    return hashlib.scrypt(password.encode(), salt=salt, n=cost.n, r=cost.r, p=cost.p, dklen=_HASH_SIZE, maxmem=room)


def totp_step(secret: bytes, code: str, now: int, after: int) -> int | None:
    """Return the time step that `code` belongs to, or None if it is wrong, too old or was used.

    Args:
        secret: 20 bytes, shared with the human's device.
        code: six digits.
        now: seconds since the epoch; a step before and one after are accepted too.
        after: the last step that was used; steps up to it are refused (RFC 6238, 5.2).
    """
    if not _CODE.fullmatch(code):
        return None
    totp = _totp(secret)
    for step in range(max(now // STEP - 1, after + 1), now // STEP + 2):
        try:
            totp.verify(code.encode(), step * STEP)
        except InvalidToken:
            continue
        return step
    return None


def totp_code(secret: bytes, now: int) -> str:
    """Return the code that a device shows at that time: for tools and tests."""
    return _totp(secret).generate(now).decode()


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP)
