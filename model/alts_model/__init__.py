"""The executable model: transition tables over terms, run symbolically and concretely."""

from alts_model.endpoint import (
    Closed,
    Completed,
    ConcreteEndpoint,
    Configuration,
    Credential,
    Event,
    Failed,
    Payload,
    RecordTrace,
    Step,
    Trace,
)
from alts_model.errors import (
    ERRORS,
    ConfigurationError,
    CounterLimit,
    ErrorCode,
    Misuse,
    ModelError,
    Refused,
)
from alts_model.issuing import Identity, Realm, build_handshake, build_master, sign_body
from alts_model.messages import HUMAN, MACHINE, WORKLOAD
from alts_model.record import RecordKey, RecordMachine, record_key
from alts_model.tables import CLIENT, RECORD, SERVER, Transition, illegal_pairs, reaction, violation
from alts_model.trust import PolicyRule

__all__ = [
    "CLIENT",
    "ERRORS",
    "HUMAN",
    "MACHINE",
    "RECORD",
    "SERVER",
    "WORKLOAD",
    "Closed",
    "Completed",
    "ConcreteEndpoint",
    "Configuration",
    "ConfigurationError",
    "CounterLimit",
    "Credential",
    "ErrorCode",
    "Event",
    "Failed",
    "Identity",
    "Misuse",
    "ModelError",
    "Payload",
    "PolicyRule",
    "Realm",
    "RecordKey",
    "RecordMachine",
    "RecordTrace",
    "Refused",
    "Step",
    "Trace",
    "Transition",
    "build_handshake",
    "build_master",
    "illegal_pairs",
    "reaction",
    "record_key",
    "sign_body",
    "violation",
]
