"""The automata of SPEC.md sections 2.1 and 8.2 to 8.4 as tables of frozen rows.

Everything else here (the machine, the diagrams, the documentation, the lists of illegal inputs) is computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["client", "server"]
TableName = Literal["client", "server", "record"]
Reaction = Literal["row", "misuse", "violation", "ignored"]

NO_GUARD: Final = "–"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: in `state`, on `input`, if `guard` holds, send `output` and go to `next_state`.

    `claim` names the agreement claim that the row makes (SPEC.md 2.6); `requirements` are requirement IDs.
    """

    role: TableName
    state: str
    input: str
    guard: str
    output: tuple[str, ...]
    next_state: str
    claim: str | None
    requirements: tuple[str, ...]


APPLICATION_INPUTS: Final = ("start", "send", "close")
WIRE_INPUTS: Final = (
    "client_init",
    "server_init",
    "server_finished",
    "client_finished",
    "alert",
    "data",
    "unknown",
    "end",
)
INPUTS: Final = APPLICATION_INPUTS + WIRE_INPUTS
FINAL_STATES: Final = ("CLOSED", "FAILED")

_CLIENT_STATES: Final = ("START", "WAIT_SERVER_INIT", "WAIT_SERVER_FINISHED", "OPEN", "CLOSED", "FAILED")
_SERVER_STATES: Final = ("WAIT_CLIENT_INIT", "WAIT_CLIENT_FINISHED", "OPEN", "CLOSED", "FAILED")
_RECORD_STATES: Final = ("COUNTING", "EXHAUSTED", "FAILED")

STATES: Final[dict[str, tuple[str, ...]]] = {
    "client": _CLIENT_STATES,
    "server": _SERVER_STATES,
    "record": _RECORD_STATES,
}
"""States of each table, the initial one first."""


def _common(role: Role) -> tuple[Transition, ...]:
    """The rows that SPEC.md writes once for both roles, written out for each state they apply to."""
    states = STATES[role]
    open_rows = (
        Transition(role, "OPEN", "data", "the record opens", ("payload",), "OPEN", None, ("REC-5", "REC-8")),
        Transition(role, "OPEN", "send", "below the frame limit (8.4)", ("data",), "OPEN", None, ("REC-2", "REC-4")),
        Transition(role, "OPEN", "end", "at a frame boundary", (), "CLOSED", None, ("REC-8",)),
    )
    alerts = tuple(
        Transition(role, state, "alert", "well-formed", (), "FAILED", None, ("HS-2",))
        for state in states
        if state.startswith("WAIT_")
    )
    closes = tuple(
        Transition(role, state, "close", NO_GUARD, (), "CLOSED", None, ("TRUST-9",))
        for state in states
        if state not in FINAL_STATES
    )
    return open_rows + alerts + closes


_FINISHED_GUARD: Final = "both authenticators are right"

CLIENT: Final[tuple[Transition, ...]] = (
    Transition(
        "client", "START", "start", NO_GUARD, ("ClientInit",), "WAIT_SERVER_INIT", "ClientStarts", ("HS-2", "HS-3")
    ),
    Transition(
        "client",
        "WAIT_SERVER_INIT",
        "server_init",
        "acceptable (5.5)",
        (),
        "WAIT_SERVER_FINISHED",
        None,
        ("HS-6", "HS-8"),
    ),
    Transition(
        "client",
        "WAIT_SERVER_FINISHED",
        "server_finished",
        _FINISHED_GUARD,
        ("ClientFinished",),
        "OPEN",
        "ClientCompletes",
        ("HS-8", "HS-9"),
    ),
    *_common("client"),
)
"""The client's automaton (SPEC.md 2.1)."""

SERVER: Final[tuple[Transition, ...]] = (
    Transition(
        "server",
        "WAIT_CLIENT_INIT",
        "client_init",
        "acceptable (5.4)",
        ("ServerInit", "ServerFinished"),
        "WAIT_CLIENT_FINISHED",
        "ServerAccepts",
        ("HS-4", "HS-6", "HS-7"),
    ),
    Transition(
        "server",
        "WAIT_CLIENT_FINISHED",
        "client_finished",
        _FINISHED_GUARD,
        (),
        "OPEN",
        "ServerCompletes",
        ("HS-9",),
    ),
    *_common("server"),
)
"""The server's automaton (SPEC.md 2.1)."""

RECORD_INPUTS: Final = ("frame", "bad_frame")

RECORD: Final[tuple[Transition, ...]] = (
    Transition(
        "record",
        "COUNTING",
        "frame",
        "the key stays",
        ("count",),
        "COUNTING",
        None,
        ("REC-6", "REC-8"),
    ),
    Transition(
        "record",
        "COUNTING",
        "frame",
        "the key changes after this frame",
        ("count", "rekey"),
        "COUNTING",
        None,
        ("REC-6", "REC-8"),
    ),
    Transition(
        "record", "COUNTING", "frame", "the last frame", ("count",), "EXHAUSTED", None, ("REC-4", "REC-6", "REC-8")
    ),
    Transition("record", "COUNTING", "bad_frame", NO_GUARD, ("BAD_RECORD",), "FAILED", None, ("REC-5", "REC-8")),
    Transition("record", "EXHAUSTED", "frame", NO_GUARD, ("COUNTER_LIMIT",), "FAILED", None, ("REC-4",)),
    Transition("record", "EXHAUSTED", "bad_frame", NO_GUARD, ("COUNTER_LIMIT",), "FAILED", None, ("REC-4",)),
)
"""The counter of one direction (SPEC.md 8.2 to 8.4).

`frame` is a frame sealed or opened; `bad_frame` (receiver only) a frame that does not open.
"""

TABLES: Final[dict[str, tuple[Transition, ...]]] = {"client": CLIENT, "server": SERVER, "record": RECORD}

_INDEX: Final = {(row.role, row.state, row.input): row for table in (CLIENT, SERVER) for row in table}

REKEY_INTERVAL: Final = 1 << 16
"""Frames in one direction under one AEAD key (SPEC.md 8.2)."""

FRAME_LIMIT: Final = 1 << 64
"""Frames in one direction under one M (SPEC.md 8.4)."""


def record_guard(guard: str, counter: int) -> bool:
    """Whether a guard of the record table holds for the frame numbered `counter` (0 to 2^64 - 1)."""
    last = counter == FRAME_LIMIT - 1
    boundary = counter % REKEY_INTERVAL == REKEY_INTERVAL - 1
    return {
        NO_GUARD: True,
        "the key stays": not boundary and not last,
        "the key changes after this frame": boundary and not last,
        "the last frame": last,
    }[guard]


def find(role: Role, state: str, input_name: str) -> Transition | None:
    """The row of a (state, input) pair, or None."""
    return _INDEX.get((role, state, input_name))


def illegal_pairs(role: Role) -> tuple[tuple[str, str], ...]:
    """Every (state, input) pair of the role that has no row, in table order."""
    return tuple(
        (state, input_name) for state in STATES[role] for input_name in INPUTS if find(role, state, input_name) is None
    )


def reaction(role: Role, state: str, input_name: str) -> Reaction:
    """What the specification says about any pair (SPEC.md 2.2 to 2.4); total.

    `row`: the table has one. `misuse`: an application input that raises and changes nothing. `violation`: a wire input
    after which the connection has failed. `ignored`: nothing happens.
    """
    if find(role, state, input_name) is not None:
        return "row"
    if state in FINAL_STATES:
        return "ignored" if input_name in WIRE_INPUTS or input_name == "close" else "misuse"
    return "misuse" if input_name in APPLICATION_INPUTS else "violation"


def violation(role: Role, state: str, input_name: str) -> tuple[str, bool]:
    """Error name, and whether an alert is sent, for a pair whose reaction is `violation` (SPEC.md 2.3, 3.5).

    Raises:
        ValueError: the pair's reaction is another one.
    """
    if reaction(role, state, input_name) != "violation":
        raise ValueError(f"{role} in {state} on {input_name}: no violation")
    if input_name == "end":
        return "TRUNCATED", False
    return "UNEXPECTED_MESSAGE", state != "OPEN"
