"""A seeded realm and pairs of connections, for the tests of `alts`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from alts import Configuration, Connection, ConnectionFailed, Environment, ErrorCode, Event, PeerViolation, Realm, Role
from alts import PayloadReceived as _PayloadReceived

if TYPE_CHECKING:
    from alts import Credential

NOW = 1_800_000_000
CLIENT, SERVER = "prod/frontend", "prod/backend"


class Pair:
    """A client and a server of one realm; `overrides` go into both configurations, or by role with a dict."""

    def __init__(
        self,
        seed: int = 1,
        *,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        now: float = NOW + 100,
    ) -> None:
        self.random = random.Random(seed)
        self.realm = Realm(self.random.randbytes, NOW)
        self.environment = Environment(lambda: now, self.random.randbytes)
        self.client = self._connection(Role.CLIENT, CLIENT, client or {})
        self.server = self._connection(Role.SERVER, SERVER, server or {})

    def _connection(self, role: Role, identity: str, given: dict[str, Any]) -> Connection:
        make = given.pop("credential", None)
        credential: Credential = make(self.realm) if make else self.realm.workload(identity)
        trust = given.pop("trust", None)
        configuration = Configuration(credential, trust(self.realm) if trust else self.realm.trust(), **given)
        return Connection(role, configuration, self.environment)

    def handshake(self) -> tuple[list[Event], list[Event]]:
        """Run the handshake; return the events of client and server."""
        self.client.start()
        client_events: list[Event] = []
        server_events: list[Event] = []
        for _ in range(3):
            server_events += self.server.receive_data(self.client.data_to_send())
            client_events += self.client.receive_data(self.server.data_to_send())
        return client_events, server_events


def open_pair(**options: Any) -> Pair:
    """Return a pair whose handshake is complete."""
    pair = Pair(**options)
    pair.handshake()
    assert pair.client.state == pair.server.state == "OPEN"
    return pair


def failure(events: list[Event]) -> PeerViolation:
    """Return the violation that ends `events`."""
    last = events[-1]
    assert isinstance(last, ConnectionFailed), events
    return last.error


def code(events: list[Event]) -> ErrorCode:
    """Return the code of the violation that ends `events`."""
    return failure(events).code


def payload(events: list[Event]) -> bytes:
    """Return the plaintext of all events together."""
    return b"".join(bytes(event.data) for event in events if isinstance(event, _PayloadReceived))
