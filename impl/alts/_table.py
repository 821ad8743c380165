"""The two state machines as data (SPEC 2.1).

Nothing here runs during a handshake: `_handshake` and `_connection` look rows up. A (state, input) pair without a row
is caller misuse for an application input, a peer violation for a wire input (SPEC 2.2, 2.3).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(enum.StrEnum):
    """Who opened the connection."""

    CLIENT = "client"
    SERVER = "server"


class State(enum.StrEnum):
    """States of a connection; a server has no ``START`` and no client ``WAIT_…``, and the other way round."""

    START = "START"
    WAIT_SERVER_INIT = "WAIT_SERVER_INIT"
    WAIT_SERVER_FINISHED = "WAIT_SERVER_FINISHED"
    WAIT_CLIENT_INIT = "WAIT_CLIENT_INIT"
    WAIT_CLIENT_FINISHED = "WAIT_CLIENT_FINISHED"
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    FAILED = "FAILED"


class Input(enum.StrEnum):
    """Everything that can happen to a connection (SPEC 2.2)."""

    START = "start"
    SEND = "send"
    CLOSE = "close"
    CLIENT_INIT = "client_init"
    SERVER_INIT = "server_init"
    SERVER_FINISHED = "server_finished"
    CLIENT_FINISHED = "client_finished"
    ALERT = "alert"
    DATA = "data"
    UNKNOWN = "unknown"
    END = "end"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: in `state`, `input` whose `guard` holds gives `output` and leads to `next_state`."""

    role: Role
    state: State
    input: Input
    guard: str
    output: tuple[str, ...]
    next_state: State
    requirements: tuple[str, ...]
    claim: str = ""
    """Name of the agreement claim made by this row (SPEC 2.6), if it makes one."""


STATES: Mapping[Role, tuple[State, ...]] = MappingProxyType(
    {
        Role.CLIENT: (
            State.START,
            State.WAIT_SERVER_INIT,
            State.WAIT_SERVER_FINISHED,
            State.OPEN,
            State.CLOSED,
            State.FAILED,
        ),
        Role.SERVER: (
            State.WAIT_CLIENT_INIT,
            State.WAIT_CLIENT_FINISHED,
            State.OPEN,
            State.CLOSED,
            State.FAILED,
        ),
    }
)
"""The states of each role, the initial one first."""

_CLIENT = (
    Transition(
        Role.CLIENT,
        State.START,
        Input.START,
        "",
        ("client_init",),
        State.WAIT_SERVER_INIT,
        ("HS-2", "HS-3"),
        "ClientStarts",
    ),
    Transition(
        Role.CLIENT,
        State.WAIT_SERVER_INIT,
        Input.SERVER_INIT,
        "acceptable",
        (),
        State.WAIT_SERVER_FINISHED,
        ("HS-6", "HS-8"),
    ),
    Transition(
        Role.CLIENT,
        State.WAIT_SERVER_FINISHED,
        Input.SERVER_FINISHED,
        "authenticators",
        ("client_finished",),
        State.OPEN,
        ("HS-8", "HS-9"),
        "ClientCompletes",
    ),
)
_SERVER = (
    Transition(
        Role.SERVER,
        State.WAIT_CLIENT_INIT,
        Input.CLIENT_INIT,
        "acceptable",
        ("server_init", "server_finished"),
        State.WAIT_CLIENT_FINISHED,
        ("HS-4", "HS-6", "HS-7"),
        "ServerAccepts",
    ),
    Transition(
        Role.SERVER,
        State.WAIT_CLIENT_FINISHED,
        Input.CLIENT_FINISHED,
        "authenticators",
        (),
        State.OPEN,
        ("HS-9",),
        "ServerCompletes",
    ),
)


def _common(role: Role) -> tuple[Transition, ...]:
    """The rows that both roles share."""
    waiting = tuple(state for state in STATES[role] if state.startswith("WAIT_"))
    live = tuple(state for state in STATES[role] if state not in (State.CLOSED, State.FAILED))
    return (
        Transition(role, State.OPEN, Input.DATA, "opens", ("payload",), State.OPEN, ("REC-5", "REC-8")),
        Transition(role, State.OPEN, Input.SEND, "below_limit", ("records",), State.OPEN, ("REC-2", "REC-4")),
        Transition(role, State.OPEN, Input.END, "frame_boundary", (), State.CLOSED, ("REC-8",)),
        *(Transition(role, state, Input.ALERT, "well_formed", (), State.FAILED, ("HS-2",)) for state in waiting),
        *(Transition(role, state, Input.CLOSE, "", (), State.CLOSED, ("TRUST-9",)) for state in live),
    )


TRANSITIONS: tuple[Transition, ...] = (*_CLIENT, *_common(Role.CLIENT), *_SERVER, *_common(Role.SERVER))
"""Both machines, row by row."""

TABLE: Mapping[tuple[Role, State, Input], Transition] = MappingProxyType(
    {(row.role, row.state, row.input): row for row in TRANSITIONS}
)
"""The rows by (role, state, input)."""
