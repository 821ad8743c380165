"""openalts reference implementation: a sans-IO core for the protocol of SPEC.md.

`Connection` takes bytes and gives events and bytes; `Handshake` is its first half alone, for those who keep records
elsewhere (a handshaker service). Everything a handshake needs is in a `Configuration`; clock and randomness come in by
an `Environment`.
"""

from ._config import Configuration, Credential, Environment, RpcVersion
from ._connection import Connection
from ._errors import AltsError, ConfigurationError, ErrorCode, FrameLimitError, PeerViolation, UsageError
from ._events import (
    ConnectionClosed,
    ConnectionFailed,
    Event,
    Evidence,
    HandshakeCompleted,
    HandshakeResult,
    Negotiated,
    PayloadReceived,
)
from ._handshake import Handshake
from ._issuer import Issuer, MasterKey, Realm, SigningService
from ._key_schedule import Secrets
from ._messages import (
    ALTSRP_GCM_AES128_REKEY,
    HANDSHAKE_CIPHERS,
    X25519_KCI_SHA256,
    X25519_MLKEM768_PFS_SHA256,
    X25519_PFS_SHA256,
    X25519_STATIC_SHA256,
)
from ._record import Opener, Sealer
from ._resumption import Resumption
from ._table import STATES, TABLE, TRANSITIONS, Input, Role, State, Transition
from ._tickets import HeldTicket, ResumptionKeys, Session, TicketCache, UsedSecrets, UsedSecretsInMemory
from ._trust import Category, Peer, Policy, Rule, Trust, VerifiedSignatures, matches

__all__ = [
    "ALTSRP_GCM_AES128_REKEY",
    "HANDSHAKE_CIPHERS",
    "STATES",
    "TABLE",
    "TRANSITIONS",
    "X25519_KCI_SHA256",
    "X25519_MLKEM768_PFS_SHA256",
    "X25519_PFS_SHA256",
    "X25519_STATIC_SHA256",
    "AltsError",
    "Category",
    "Configuration",
    "ConfigurationError",
    "Connection",
    "ConnectionClosed",
    "ConnectionFailed",
    "Credential",
    "Environment",
    "ErrorCode",
    "Event",
    "Evidence",
    "FrameLimitError",
    "Handshake",
    "HandshakeCompleted",
    "HandshakeResult",
    "HeldTicket",
    "Input",
    "Issuer",
    "MasterKey",
    "Negotiated",
    "Opener",
    "PayloadReceived",
    "Peer",
    "PeerViolation",
    "Policy",
    "Realm",
    "Resumption",
    "ResumptionKeys",
    "Role",
    "RpcVersion",
    "Rule",
    "Sealer",
    "Secrets",
    "Session",
    "SigningService",
    "State",
    "TicketCache",
    "Transition",
    "Trust",
    "UsageError",
    "UsedSecrets",
    "UsedSecretsInMemory",
    "VerifiedSignatures",
    "matches",
]
