"""What an honest run leaves behind: messages, events and variables, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from alts_proofs.engine._lexer import Place
from alts_proofs.engine._terms import App, Symbol, Term, app

Path = tuple[int, ...]
"""Which copy of a replicated process: a number for each replication around it, from the outermost, and its own."""


_SESSIONS: Final[dict[int, App]] = {}
_VALUES: Final[dict[App, Value]] = {}


@dataclass(frozen=True, slots=True)
class Value:
    """A ground term of a script: a function, constant or name, and what it is applied to.

    `kind` is ``constructor``, ``data``, ``free`` for what the environment made up and free names, or ``name``: then
    `args` are the sessions in which the name was made.
    """

    label: str
    kind: str
    args: tuple[Value, ...] = ()

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.args))
        return f"{'' if self.label == 'tuple' else self.label}({inner})" if self.args else self.label


@dataclass(frozen=True, slots=True)
class Message:
    """A message on the network: which copy sent it, in which of its connections, at which place of the script."""

    sender: Path
    connection: int
    value: Value
    place: Place


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, with its arguments, the copy that executed it, and the number of its connection then."""

    event: str
    args: tuple[Value, ...]
    by: Path
    connection: int


@dataclass(slots=True)
class HonestRun:
    """What happened: messages and events in order, and what each copy has bound, by the script's variable names."""

    messages: list[Message] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    bound: dict[Path, list[dict[str, Value]]] = field(default_factory=dict)
    """The first value of each variable, for each connection of a copy; the first list is that before any."""
    peers: dict[tuple[Path, int], tuple[Path, int]] = field(default_factory=dict)
    """Who talked with whom: connections, by copy and number."""
    failures: list[str] = field(default_factory=list)
    """Checks that failed, with their places."""

    def happened(self, event: str) -> list[Happened]:
        """All executions of an event."""
        return [one for one in self.events if one.event == event]

    def sent(self, sender: Path, connection: int) -> list[Value]:
        """What a copy sent in one of its connections, in order."""
        return [one.value for one in self.messages if (one.sender, one.connection) == (sender, connection)]

    def value(self, path: Path, connection: int, variable: str) -> Value:
        """What `variable` is in a connection of a copy, or else before it, or in a copy around. Raises `KeyError`."""
        for length in range(len(path), -1, -1):
            scopes = self.bound.get(path[:length], [])
            for scope in reversed(scopes[: connection + 1] if length == len(path) else scopes):
                if variable in scope:
                    return scope[variable]
        raise KeyError(variable)


def is_fresh(value: Value, path: Path) -> bool:
    """Whether `value` is a name that the copy `path` made itself."""
    made_in = tuple(value_of(session(number)) for number in path)
    return value.kind == "name" and value.args == made_in


def value_of(term: Term) -> Value:
    """A ground term of the engine as a value."""
    assert isinstance(term, App)
    found = _VALUES.get(term)
    if found is None:
        found = _VALUES[term] = Value(term.sym.label, term.sym.kind, tuple(map(value_of, term.args)))
    return found


def session(number: int) -> App:
    """The session of the copy with a number."""
    if number not in _SESSIONS:
        _SESSIONS[number] = app(Symbol(f"session{number}", 0, "session"))
    return _SESSIONS[number]
