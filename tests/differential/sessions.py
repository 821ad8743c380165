"""Endpoints with any cipher, in processes that resume, fresh values by name: for lockstep tests of SPEC 7.2 and 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from alts_model.ciphers import HYBRID, KCI, PFS, STATIC
from alts_schema.handshake_pb2 import ClientInit, ServerFinished, ServerInit
from alts_vectors._world import CLIENT, SERVER, WORKLOAD, Chain, World
from alts_vectors.target import EndpointSettings, Randomness, ResumptionSettings, RoleName
from tests.differential.lockstep import Conversation, Seen, Stores, split_flight

CIPHERS: Final = (STATIC, PFS, KCI, HYBRID)
REALM: Final = World("sessions in lockstep")
IDRS: Final[Mapping[str, bytes]] = {
    name: REALM.derive(f"IDR of {name}")[:16] for name in (CLIENT, SERVER, "test/third", "test/machine/1")
}


def chain(identity: str, number: int = 1, category: int = WORKLOAD, ciphers: Sequence[str] = CIPHERS) -> Chain:
    """An honest chain that lists ciphers."""
    return REALM.chain(identity, category, number).but(
        master={"handshake_ciphers": tuple(ciphers)}, handshake={"handshake_ciphers": tuple(ciphers)}
    )


def randomness(name: str) -> Randomness:
    """Enough fresh values for any end."""

    def values(queue: str, count: int) -> tuple[bytes, ...]:
        return tuple(REALM.derive(f"{queue} {index} {name}") for index in range(count))

    seed = b"".join(values("seed", 2))
    return Randomness(values("ephemeral", 3), (seed,), values("encapsulation", 1), values("salt", 1))


def settings_of(who: Chain, name: str, ciphers: Sequence[str], **changes: Any) -> EndpointSettings:
    """An end whose fresh values follow from `name`."""
    return REALM.settings(who, name, **{"handshake_ciphers": tuple(ciphers), "randomness": randomness(name), **changes})


def process(identity: str, *epochs: int, forward_secret: bool = True) -> Stores:
    """A process of an identity with resumption keys for these epochs; without epochs it only holds tickets."""
    keys = tuple((epoch, REALM.derive(f"resumption key {epoch} of {identity}")) for epoch in epochs)
    return Stores(ResumptionSettings(IDRS[identity] if epochs else b"", keys, forward_secret))


@dataclass
class Pair:
    """A client's and a server's process that connect again and again. Names of connections make them fresh."""

    ciphers: Sequence[str] = (STATIC,)
    client: Stores | None = None
    server: Stores | None = None
    client_chain: Chain | None = None
    server_chain: Chain | None = None
    count: int = 0

    def __post_init__(self) -> None:
        self.client = self.client or process(CLIENT, 1)
        self.server = self.server or process(SERVER, 1)
        self.client_chain = self.client_chain or chain(CLIENT, 1)
        self.server_chain = self.server_chain or chain(SERVER, 2)

    def talk(self, *, ciphers: Sequence[str] = (), **changes: Mapping[str, Any]) -> Conversation:
        """Fresh ends; `client` and `server` hold changes of their settings."""
        assert self.client_chain is not None
        assert self.server_chain is not None
        self.count += 1
        wanted = ciphers or self.ciphers
        usual = {"target_identities": frozenset({SERVER})}
        one = settings_of(self.client_chain, f"client {self.count}", wanted, **{**usual, **changes.get("client", {})})
        other = settings_of(self.server_chain, f"server {self.count}", wanted, **changes.get("server", {}))
        return Conversation(one, other, self.client, self.server)

    def connect(self, **more: Any) -> tuple[Seen, Seen]:
        """A whole handshake and payload both ways; what the application of each end learns."""
        return complete(self.talk(**more))


def complete(talk: Conversation) -> tuple[Seen, Seen]:
    """Run an honest handshake to its end and exchange payload."""
    flight, _ = talk.server.receive(talk.client.start())
    finished, at_client = talk.client.receive(flight)
    _, at_server = talk.server.receive(finished)
    assert talk.client.state == talk.server.state == "OPEN", (at_client, at_server)
    assert talk.server.receive(talk.client.send(b"question"))[1] == (("payload", b"question"),)
    assert talk.client.receive(talk.server.send(b"answer"))[1] == (("payload", b"answer"),)
    assert at_client[0][3:] == at_server[0][3:], "both agree on choices, transcript and mode"
    return at_client[0], at_server[0]


def mode_of(seen: Seen) -> int:
    """The mode of a completed session."""
    assert seen[0] == "completed"
    return int(seen[-1])


def client_init_of(frame: bytes) -> ClientInit:
    """The message in a frame."""
    return ClientInit.FromString(frame[8:])


def server_flight_of(flight: bytes) -> tuple[ServerInit, ServerFinished]:
    """The messages in a server's flight."""
    first, second = split_flight(flight)
    return ServerInit.FromString(first[8:]), ServerFinished.FromString(second[8:])


OTHER: Final[Mapping[RoleName, RoleName]] = {"client": "server", "server": "client"}
