"""Processes that resume, and connections between them, over bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from alts_model import (
    CIPHERS,
    MODE_FULL,
    STATIC,
    Completed,
    ConcreteEndpoint,
    Configuration,
    Failed,
    Realm,
    Resumption,
    TicketCache,
    UsedSecrets,
)
from alts_model.issuing import Identity

ALL = tuple(CIPHERS)
REALM = Realm(bytes(range(32, 64)))
FRONTEND = REALM.issue("prod/frontend", handshake_ciphers=ALL, boundary="dc1")
BACKEND = REALM.issue("prod/backend", handshake_ciphers=ALL, boundary="dc1")
OTHER = REALM.issue("prod/other", handshake_ciphers=ALL)
_NUMBERS = count()


@dataclass
class Process:
    """One process of an identity: its keys, what it resumes with, changes of its configuration."""

    identity: Identity
    resumption: Resumption[bytes]
    changes: dict[str, Any]

    def configuration(self, **changes: Any) -> Configuration:
        base = REALM.configuration(self.identity.credential, f"connection {next(_NUMBERS)}")
        own = {"resumption": self.resumption, "handshake_ciphers": ALL, **self.changes}
        return replace(base, **{**own, **changes})

    def client(self, **changes: Any) -> ConcreteEndpoint:
        usual = {"handshake_ciphers": (STATIC,), "target_identities": frozenset({"prod/backend"})}
        return ConcreteEndpoint("client", self.configuration(**{**usual, **changes}))

    def server(self, **changes: Any) -> ConcreteEndpoint:
        return ConcreteEndpoint("server", self.configuration(**changes))


def process(
    identity: Identity,
    *,
    epochs: tuple[int, ...] = (1,),
    makes: bool = True,
    holds: bool = True,
    used: UsedSecrets[bytes] | None = None,
    early: bool = False,
    **changes: Any,
) -> Process:
    name = {id(FRONTEND): "prod/frontend", id(BACKEND): "prod/backend"}.get(id(identity), "prod/other")
    keys = REALM.resumption_keys(name, *epochs) if makes else None
    cache = TicketCache[bytes]() if holds else None
    return Process(identity, Resumption(keys, cache, UsedSecrets() if used is None else used, early), changes)


def connect(one: ConcreteEndpoint, other: ConcreteEndpoint) -> Completed:
    """A handshake that must succeed, alike at both ends; the server's event."""
    step = one.receive(other.receive(one.start()).output)
    (at_client,) = step.events
    (at_server,) = other.receive(step.output).events
    assert isinstance(at_client, Completed), at_client
    assert isinstance(at_server, Completed), at_server
    assert (at_client.mode, at_client.transcript_hash) == (at_server.mode, at_server.transcript_hash)
    assert one.secrets.values["M"] == other.secrets.values["M"]
    assert one.secrets.values["R"] == other.secrets.values["R"]
    return at_server


def failed(events: tuple[object, ...]) -> Failed:
    event = events[-1]
    assert isinstance(event, Failed)
    return event


def after_first(cipher: str = STATIC, **changes: Any) -> tuple[Process, Process]:
    """A client and a server process after one full handshake."""
    one, other = process(FRONTEND, **changes), process(BACKEND, **changes)
    assert connect(one.client(handshake_ciphers=(cipher,)), other.server()).mode == MODE_FULL
    return one, other


def mode(one: Process, other: Process, cipher: str = STATIC, **changes: Any) -> int:
    return connect(one.client(handshake_ciphers=(cipher,), **changes), other.server(**changes)).mode
