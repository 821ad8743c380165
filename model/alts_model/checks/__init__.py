"""What z3 proves about the model: small named checks, each with planted faults that it must find."""

from alts_model.checks.counters import FRESH
from alts_model.checks.directions import IN_PLACE, STOPPING
from alts_model.checks.execution import NoAnswerError, NotFollowedError
from alts_model.checks.interleaving import INTERLEAVING
from alts_model.checks.matcher import MATCHING
from alts_model.checks.negotiation import BOUNDARIES, FIRST_COMMON, RPC_VERSIONS
from alts_model.checks.policy import BELONGING, JUDGING
from alts_model.checks.proving import Check, Fault, Outcome, Refuted, Statement, prove
from alts_model.checks.tickets import ONCE, TAKEN
from alts_model.checks.transcript import NO_EDIT, REPLAY

ALL = (
    FIRST_COMMON,
    RPC_VERSIONS,
    BOUNDARIES,
    NO_EDIT,
    MATCHING,
    JUDGING,
    BELONGING,
    FRESH,
    STOPPING,
    IN_PLACE,
    ONCE,
    TAKEN,
    INTERLEAVING,
    REPLAY,
)
"""Every check, in the order in which they are reported."""

__all__ = [
    "ALL",
    "BELONGING",
    "BOUNDARIES",
    "FIRST_COMMON",
    "FRESH",
    "INTERLEAVING",
    "IN_PLACE",
    "JUDGING",
    "MATCHING",
    "NO_EDIT",
    "ONCE",
    "REPLAY",
    "RPC_VERSIONS",
    "STOPPING",
    "TAKEN",
    "Check",
    "Fault",
    "NoAnswerError",
    "NotFollowedError",
    "Outcome",
    "Refuted",
    "Statement",
    "prove",
]
