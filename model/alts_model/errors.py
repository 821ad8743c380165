"""Error codes of the profile (SPEC.md section 10) and the exceptions of this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table of section 10: wire value, name, whether an alert may carry it, requirement IDs."""

    code: int
    name: str
    sent: bool
    requirements: tuple[str, ...]


_ROWS: Final = (
    ErrorCode(1, "DECODE_ERROR", True, ("HS-2", "REC-2")),
    ErrorCode(2, "UNEXPECTED_MESSAGE", True, ("HS-2",)),
    ErrorCode(3, "FRAME_TOO_LARGE", True, ("REC-3",)),
    ErrorCode(4, "UNSUPPORTED_VERSION", True, ("TRUST-8",)),
    ErrorCode(5, "ILLEGAL_PARAMETER", True, ("HS-3", "HS-6")),
    ErrorCode(6, "NO_COMMON_HANDSHAKE_CIPHER", True, ("HS-4",)),
    ErrorCode(7, "NO_COMMON_RECORD_PROTOCOL", True, ("HS-4", "REC-1")),
    ErrorCode(8, "NO_COMMON_APPLICATION_PROTOCOL", True, ("HS-4",)),
    ErrorCode(9, "NO_COMMON_RPC_VERSION", True, ("HS-4",)),
    ErrorCode(10, "BAD_CERTIFICATE", True, ("CRED-1", "CRED-2")),
    ErrorCode(11, "UNKNOWN_AUTHORITY", True, ("CRED-4",)),
    ErrorCode(12, "CERTIFICATE_EXPIRED", True, ("REVOKE-1",)),
    ErrorCode(13, "BAD_SIGNATURE", True, ("CRED-4",)),
    ErrorCode(14, "CATEGORY_REFUSED", True, ("TRUST-3",)),
    ErrorCode(15, "POLICY_DENIED", True, ("POLICY-3",)),
    ErrorCode(16, "CERTIFICATE_REVOKED", True, ("REVOKE-6",)),
    ErrorCode(17, "WRONG_IDENTITY", True, ("TRUST-2", "TRUST-5")),
    ErrorCode(18, "INSUFFICIENT_PROTECTION", True, ("REC-7",)),
    ErrorCode(19, "BAD_KEY_SHARE", True, ("HS-1",)),
    ErrorCode(20, "BAD_FINISHED", True, ("HS-7", "HS-9")),
    ErrorCode(21, "BAD_TICKET_AUTHENTICATOR", True, ("RES-2",)),
    ErrorCode(22, "TICKET_REFUSED", True, ("RES-8",)),
    ErrorCode(23, "HANDSHAKE_TIMEOUT", True, ("REC-3",)),
    ErrorCode(24, "INTERNAL_ERROR", True, ("TRUST-1",)),
    ErrorCode(32, "BAD_RECORD", False, ("REC-5", "REC-8")),
    ErrorCode(33, "COUNTER_LIMIT", False, ("REC-4",)),
    ErrorCode(34, "TRUNCATED", False, ("REC-2",)),
    ErrorCode(35, "PEER_ALERT", False, ("HS-2",)),
)

ERRORS: Final[dict[str, ErrorCode]] = {row.name: row for row in _ROWS}
"""Name to row, in the order of the specification."""


class ModelError(Exception):
    """Root of every exception that this package raises on purpose."""


class Misuse(ModelError):
    """The caller did something that it may not: nothing has changed (SPEC.md 2.2, 10.2)."""


class ConfigurationError(Misuse):
    """A configuration that no endpoint of this version may have."""


class CounterLimit(ModelError):
    """A `send` would pass the frame limit: nothing was sent, and the connection is closed (SPEC.md 8.4, REC-4)."""


class Refused(ModelError):
    """A peer violation, by error name; `detail` says which rule was broken and holds no secret."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}" if detail else name)
        self.error = ERRORS[name]
        self.detail = detail
