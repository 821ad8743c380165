"""Errors: one root, two branches (caller misuse, peer violation), and the wire codes of SPEC.md section 10."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ErrorCode(enum.IntEnum):
    """A peer violation's code (SPEC 10.1). Codes below 32 may travel in an alert; the others are only reported."""

    DECODE_ERROR = 1
    UNEXPECTED_MESSAGE = 2
    FRAME_TOO_LARGE = 3
    UNSUPPORTED_VERSION = 4
    ILLEGAL_PARAMETER = 5
    NO_COMMON_HANDSHAKE_CIPHER = 6
    NO_COMMON_RECORD_PROTOCOL = 7
    NO_COMMON_APPLICATION_PROTOCOL = 8
    NO_COMMON_RPC_VERSION = 9
    BAD_CERTIFICATE = 10
    UNKNOWN_AUTHORITY = 11
    CERTIFICATE_EXPIRED = 12
    BAD_SIGNATURE = 13
    CATEGORY_REFUSED = 14
    POLICY_DENIED = 15
    CERTIFICATE_REVOKED = 16
    WRONG_IDENTITY = 17
    INSUFFICIENT_PROTECTION = 18
    BAD_KEY_SHARE = 19
    BAD_FINISHED = 20
    BAD_TICKET_AUTHENTICATOR = 21
    TICKET_REFUSED = 22
    HANDSHAKE_TIMEOUT = 23
    INTERNAL_ERROR = 24
    BAD_RECORD = 32
    COUNTER_LIMIT = 33
    TRUNCATED = 34
    PEER_ALERT = 35


FIRST_LOCAL_CODE = 32
"""Codes from here on are never sent (SPEC 10.1)."""

REQUIREMENTS: Mapping[ErrorCode, tuple[str, ...]] = MappingProxyType(
    {
        ErrorCode.DECODE_ERROR: ("HS-2", "REC-2"),
        ErrorCode.UNEXPECTED_MESSAGE: ("HS-2",),
        ErrorCode.FRAME_TOO_LARGE: ("REC-3",),
        ErrorCode.UNSUPPORTED_VERSION: ("TRUST-8",),
        ErrorCode.ILLEGAL_PARAMETER: ("HS-3", "HS-6"),
        ErrorCode.NO_COMMON_HANDSHAKE_CIPHER: ("HS-4",),
        ErrorCode.NO_COMMON_RECORD_PROTOCOL: ("HS-4", "REC-1"),
        ErrorCode.NO_COMMON_APPLICATION_PROTOCOL: ("HS-4",),
        ErrorCode.NO_COMMON_RPC_VERSION: ("HS-4",),
        ErrorCode.BAD_CERTIFICATE: ("CRED-1", "CRED-2"),
        ErrorCode.UNKNOWN_AUTHORITY: ("CRED-4",),
        ErrorCode.CERTIFICATE_EXPIRED: ("REVOKE-1",),
        ErrorCode.BAD_SIGNATURE: ("CRED-4",),
        ErrorCode.CATEGORY_REFUSED: ("TRUST-3",),
        ErrorCode.POLICY_DENIED: ("POLICY-3",),
        ErrorCode.CERTIFICATE_REVOKED: ("REVOKE-6",),
        ErrorCode.WRONG_IDENTITY: ("TRUST-2", "TRUST-5"),
        ErrorCode.INSUFFICIENT_PROTECTION: ("REC-7",),
        ErrorCode.BAD_KEY_SHARE: ("HS-1",),
        ErrorCode.BAD_FINISHED: ("HS-7", "HS-9"),
        ErrorCode.BAD_TICKET_AUTHENTICATOR: ("RES-2",),
        ErrorCode.TICKET_REFUSED: ("RES-8",),
        ErrorCode.HANDSHAKE_TIMEOUT: ("REC-3",),
        ErrorCode.INTERNAL_ERROR: ("TRUST-1",),
        ErrorCode.BAD_RECORD: ("REC-5", "REC-8"),
        ErrorCode.COUNTER_LIMIT: ("REC-4",),
        ErrorCode.TRUNCATED: ("REC-2",),
        ErrorCode.PEER_ALERT: ("HS-2",),
    }
)
"""The requirement IDs behind each code, as in the table of SPEC 10.1."""


class AltsError(Exception):
    """Root of every error that this package raises or reports."""


class UsageError(AltsError):
    """The caller asked for something that the API or the present state does not allow. Nothing has changed."""


class ConfigurationError(UsageError):
    """A configuration, credential, policy or realm directory that cannot work, found before any byte is sent."""


class FrameLimitError(UsageError):
    """More frames than may be protected under one record secret (REC-4, SPEC 8.4); the connection has to be closed."""


class PeerViolation(AltsError):
    """The peer, or whoever writes on its connection, broke the protocol or cannot be accepted (SPEC 10).

    Attributes:
        code: the wire code.
        detail: what was wrong, for people; holds no secret and no judgement depends on it.
        requirements: requirement IDs, such as ``("REC-5", "REC-8")``.
        state: the state (SPEC 2.1) in which it happened; empty until the state machine has set it.
        alert_code: the code that the peer sent, for ``PEER_ALERT`` only.
    """

    def __init__(self, code: ErrorCode, detail: str, *, state: str = "", alert_code: int | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.requirements = REQUIREMENTS[code]
        self.state = state
        self.alert_code = alert_code

    def __str__(self) -> str:
        place = f" in state {self.state}" if self.state else ""
        return f"{self.code.name} (code {self.code.value}){place}: {self.detail} [{', '.join(self.requirements)}]"
