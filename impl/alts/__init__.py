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
from ._messages import ALTSRP_GCM_AES128_REKEY, X25519_STATIC_SHA256
from ._record import Opener, Sealer
from ._table import STATES, TABLE, TRANSITIONS, Input, Role, State, Transition
from ._trust import Category, Peer, Policy, Rule, Trust, matches

__all__ = [
    "ALTSRP_GCM_AES128_REKEY",
    "STATES",
    "TABLE",
    "TRANSITIONS",
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
    "Role",
    "RpcVersion",
    "Rule",
    "Sealer",
    "Secrets",
    "SigningService",
    "State",
    "Transition",
    "Trust",
    "UsageError",
    "matches",
]
