"""Vectors of complete valid handshakes with some payload: both ends, every byte, every intermediate value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from alts_model.codec import encode_finished
from alts_model.codec import frame as encode_frame
from alts_model.endpoint import Completed, ConcreteEndpoint, Event, Failed, Payload
from alts_model.messages import Finished, IssuedTicket
from alts_model.primitives import hmac_sha256, x25519_public
from alts_model.tables import Role

from . import _settings
from ._case import Group, Why, document
from ._files import Json
from ._key_schedule import named
from ._world import CIPHER, HUMAN, MACHINE, RECORD_PROTOCOL, RESERVED_CIPHER, World
from .target import EndpointSettings

_Add = Callable[..., None]
HONEST = ("HS-2", "HS-3", "HS-4", "HS-6", "HS-7", "HS-8", "HS-9")


@dataclass(frozen=True, slots=True)
class Move:
    """What one end does next: `start`, `reply` (what its last input made it send) or `send` (a plaintext)."""

    by: Role
    action: str
    wire: bytes
    plaintext: bytes = b""

    def json(self) -> Json:
        """As in the file."""
        return {"by": self.by, "action": self.action, "plaintext": self.plaintext.hex(), "wire": self.wire.hex()}


def completed_json(event: Completed) -> Json:
    """What an application learns."""
    return {
        "peerIdentity": event.peer_identity,
        "peerCategory": event.category,
        "handshakeCipher": event.handshake_cipher,
        "recordProtocol": event.record_protocol,
        "applicationProtocol": event.application_protocol,
        "rpcVersion": list(event.rpc_version),
        "maxFrameSize": event.max_frame_size,
        "transcriptHash": event.transcript_hash.hex(),
    }


def failed_of(events: tuple[Event, ...]) -> Failed | None:
    """The failure among events."""
    return next((event for event in events if isinstance(event, Failed)), None)


class Run:
    """Two model endpoints that talk; notes every move."""

    def __init__(self, client: EndpointSettings, server: EndpointSettings) -> None:
        self.ends: dict[Role, ConcreteEndpoint] = {
            "client": ConcreteEndpoint("client", _settings.to_model(client)),
            "server": ConcreteEndpoint("server", _settings.to_model(server)),
        }
        self.moves: list[Move] = []
        self.completed: dict[Role, Completed] = {}

    def handshake(self, first: bytes = b"") -> None:
        """All four messages; `first` goes out right after ClientFinished."""
        client, server = self.ends["client"], self.ends["server"]
        self.moves.append(Move("client", "start", client.start()))
        self.moves.append(Move("server", "reply", self._deliver("server", self.moves[-1].wire)))
        self.moves.append(Move("client", "reply", self._deliver("client", self.moves[-1].wire)))
        self._deliver("server", self.moves[-1].wire)
        if first:
            self.send("client", first)
        assert client.state == server.state == "OPEN"

    def send(self, by: Role, plaintext: bytes) -> None:
        """Payload, delivered at once."""
        wire = self.ends[by].send(plaintext)
        self.moves.append(Move(by, "send", wire, plaintext))
        other: Role = "server" if by == "client" else "client"
        step = self.ends[other].receive(wire)
        assert b"".join(event.data for event in step.events if isinstance(event, Payload)) == plaintext

    def _deliver(self, to: Role, data: bytes) -> bytes:
        step = self.ends[to].receive(data)
        for event in step.events:
            if isinstance(event, Completed):
                self.completed[to] = event
        assert failed_of(step.events) is None, step.events
        return step.output


def generate(seed: str) -> Json:
    """The file `handshake_valid`."""
    world = World(seed)
    endpoints: dict[str, Json] = {}
    group = Group("handshake", "Two honest ends. Each end can be tested alone against the other's bytes.")

    def add(
        name: str,
        comment: str,
        reason: str,
        client: EndpointSettings | None = None,
        server: EndpointSettings | None = None,
        *,
        requirements: tuple[str, ...] = HONEST,
        flags: tuple[str, ...] = ("Honest",),
        delivery: str = "move",
        spec: tuple[str, ...] = ("2.1", "5.4", "5.5", "5.6", "7.4"),
        payload: tuple[tuple[Role, bytes], ...] = (("client", b"question"), ("server", b"answer")),
    ) -> None:
        one, other = client or world.client(), server or world.server()
        run = Run(one, other)
        run.handshake()
        for by, plaintext in payload:
            run.send(by, plaintext)
        values = run.ends["client"].secrets.values
        assert values == run.ends["server"].secrets.values
        group.add(
            name,
            Why(comment, reason, requirements, spec, flags),
            input={
                "client": _named(endpoints, f"client-{name}", one),
                "server": _named(endpoints, f"server-{name}", other),
                "delivery": delivery,
                "moves": [move.json() for move in run.moves],
            },
            intermediate={
                **_public_keys(one, other),
                "clientIdentity": run.completed["server"].peer_identity,
                "serverIdentity": run.completed["client"].peer_identity,
                "clientInit": values["client_init"].hex(),
                "serverInit": values["server_init"].hex(),
                **named(values),
            },
            result={
                "verdict": "valid",
                "client": completed_json(run.completed["client"]),
                "server": completed_json(run.completed["server"]),
            },
        )

    add(
        "default",
        "the usual ends",
        "The base case; whoever differs anywhere can talk to nobody. Both identities are there to read (not a goal).",
        requirements=(*HONEST, "HS-11", "TRADE-3"),
    )
    _deliveries(add)
    _negotiations(world, add)
    _parties(world, add)
    big = (world.derive("much payload") * 1600)[:50_000]
    add(
        "payload-over-frames",
        "50000 bytes with frames of 16384",
        "A stream is cut into frames by the sender and put together by the receiver; each frame counts.",
        world.client(max_frame_size=16384),
        requirements=("REC-2", "REC-3", "REC-8"),
        spec=("6.4", "8.1"),
        payload=(("client", big), ("server", b"x")),
    )
    add(
        "payload-both-ways",
        "frames of both directions, taking turns",
        "Each direction has its own counter.",
        requirements=("REC-5", "REC-8"),
        spec=("8.2",),
        payload=tuple((("client", "server")[number % 2], b"%d" % number) for number in range(6)),
    )
    group.tests.extend(_ignored_tickets(world, endpoints).tests)
    return document(
        "handshake_valid",
        seed,
        "Complete handshakes. `moves` are in order; `reply` is what an end sends because of the moves before. "
        "`delivery` says how the bytes reach the other end: move (each on its own), coalesced (consecutive moves "
        "of one end together), frame (each frame on its own), byte (byte by byte).",
        [group],
        endpoints,
    )


def _named(endpoints: dict[str, Json], name: str, settings: EndpointSettings) -> str:
    """Put settings into the file's table, once, and return their name there."""
    data = _settings.to_json(settings)
    for have, known in endpoints.items():
        if known == data:
            return have
    endpoints[name] = data
    return name


def _public_keys(client: EndpointSettings, server: EndpointSettings) -> dict[str, str]:
    """Both static public keys."""
    return {
        "clientPublicKey": x25519_public(client.private_key).hex(),
        "serverPublicKey": x25519_public(server.private_key).hex(),
    }


def _deliveries(add: _Add) -> None:
    for delivery, reason in {
        "coalesced": "Records may come with ClientFinished, and ServerInit with ServerFinished, in one segment.",
        "frame": "ServerInit and ServerFinished may come apart.",
        "byte": "Any segmentation means the same.",
    }.items():
        add(
            f"delivered-by-{delivery}",
            f"the usual ends; delivery: {delivery}",
            reason,
            requirements=("HS-2", "HS-7", "REC-2"),
            flags=("Segmentation",),
            delivery=delivery,
            spec=("3.6", "2.5"),
        )


def _negotiations(world: World, add: _Add) -> None:
    client, server = world.client, world.server
    for name, one, other, comment, reason in (
        (
            "application-first-of-client",
            client(application_protocols=("a", "b", "c")),
            server(application_protocols=("c", "b")),
            "the client prefers a, b, c; the server allows c, b",
            "The first of the client's list that the server allows is b, whatever the server prefers.",
        ),
        (
            "application-longest-list",
            client(application_protocols=(*(f"{number:x}" * 64 for number in range(15)), "~")),
            server(application_protocols=("!", "~")),
            "16 entries, some of 64 characters, of the outermost characters",
            "The bounds of lists belong to what is legal.",
        ),
        (
            "frame-size-of-client",
            client(max_frame_size=16384),
            server(),
            "the client's frame size is smaller",
            "The smaller of the two holds for both directions.",
        ),
        (
            "frame-size-of-server",
            client(),
            server(max_frame_size=20000),
            "the server's frame size is smaller",
            "The smaller of the two holds for both directions.",
        ),
        (
            "rpc-overlap-of-one",
            client(rpc_max=(3, 0), rpc_min=(2, 2)),
            server(rpc_max=(2, 2), rpc_min=(1, 9)),
            "the ranges share exactly one version",
            "(major, minor) are compared as pairs; the version in force is the smaller maximum.",
        ),
        (
            "rpc-minor-beyond-major",
            client(rpc_max=(2, 9), rpc_min=(1, 5)),
            server(rpc_max=(3, 1), rpc_min=(2, 0)),
            "the larger maximum has the smaller minor",
            "A comparison field by field would take (2, 1).",
        ),
        (
            "rpc-zero",
            client(rpc_max=(0, 0), rpc_min=(0, 0)),
            server(rpc_max=(4294967295, 4294967295), rpc_min=(0, 0)),
            "versions of zero and the largest",
            "An empty Version is present although it takes no bytes.",
        ),
    ):
        add(
            name,
            comment,
            reason,
            one,
            other,
            requirements=("HS-3", "HS-4", "HS-6"),
            spec=("6.1", "6.3", "6.4"),
        )


def _parties(world: World, add: _Add) -> None:
    add(
        "human-to-machine",
        "a user's client and a machine's server",
        "The categories reach the application.",
        world.settings(world.chain("test/user/alice@example", HUMAN, 7), "human"),
        world.settings(world.chain("test/machine/3", MACHINE, 8), "machine"),
        requirements=("TRUST-2", "TRUST-3", "TRUST-5"),
        spec=("4.6", "4.9"),
    )
    add(
        "one-identity-at-both-ends",
        "two replicas of one identity",
        "An identity may talk to itself; the roles still keep the two ends apart.",
        world.settings(world.chain("test/backend", number=2), "replica"),
        requirements=("TRUST-2", "HS-5"),
        spec=("7.4",),
    )
    add(
        "targets",
        "the client expects one of two identities, the server one",
        "The check passes if the identity is any of those named.",
        world.client(target_identities=frozenset({"test/backend", "test/other"})),
        world.server(target_identities=frozenset({"test/frontend"})),
        requirements=("TRUST-2", "TRUST-5"),
        spec=("4.9", "5.5"),
    )
    add(
        "across-boundaries",
        "the ends stand in different boundaries, one in none",
        "Protocols that encrypt may be chosen whatever the boundaries are.",
        world.settings(world.chain("test/frontend").but(handshake={"boundary": "site-9"}), "client"),
        world.settings(world.chain("test/backend", number=2).but(handshake={"boundary": ""}), "server"),
        requirements=("REC-7",),
        spec=("6.2",),
    )
    several = (CIPHER, RESERVED_CIPHER)
    add(
        "certificate-with-reserved-cipher",
        "the client's certificate lists a reserved cipher too",
        "What a certificate allows is more than what an endpoint of this version offers.",
        world.settings(
            world.chain("test/frontend").but(
                master={"handshake_ciphers": several}, handshake={"handshake_ciphers": several}
            ),
            "client",
        ),
        requirements=("CRED-2", "TRUST-7"),
        spec=("1.2", "4.7"),
    )
    assert RECORD_PROTOCOL in world.client().record_protocols


def _ignored_tickets(world: World, endpoints: dict[str, Json]) -> Group:
    """A party that issues a ticket in Finished, as later versions will: this version ignores it."""
    group = Group("handshake", "")
    ticket = IssuedTicket(bytes(range(16)), 3, 3600, b"a ticket of a later version")
    for issuer in ("server", "client"):
        one, other = world.client(), world.server()
        run = Run(one, other)
        run.handshake()
        values = run.ends["client"].secrets.values
        encoded = (
            b"\x00\x10" + ticket.resumption_id + (3).to_bytes(8, "big") + (3600).to_bytes(4, "big")
            + len(ticket.ticket).to_bytes(2, "big") + ticket.ticket
        )  # fmt: skip
        message = Finished(
            values[f"{issuer}_authenticator"],
            hmac_sha256(values["A"], f"openalts v1 {issuer} ticket".encode() + encoded),
            ticket,
        )
        finished = encode_frame(f"{issuer}_finished", encode_finished(message))
        moves = list(run.moves)
        if issuer == "server":
            moves[1] = replace(moves[1], wire=encode_frame("server_init", values["server_init"]) + finished)
            tested: Role = "client"
        else:
            moves[2] = replace(moves[2], wire=finished)
            tested = "server"
        group.add(
            f"ticket-from-{issuer}",
            Why(
                f"the {issuer} issues a ticket beside Finished",
                "An issued ticket that the receiver has no use for is ignored, but its authenticator is checked.",
                ("RES-2", "RES-8"),
                ("5.6", "7.6"),
                ("IgnoredTicket",),
            ),
            input={
                "client": _named(endpoints, "client-default", one),
                "server": _named(endpoints, "server-default", other),
                "delivery": "move",
                "only": tested,
                "moves": [move.json() for move in moves],
            },
            intermediate={
                **_public_keys(one, other),
                "clientIdentity": run.completed["server"].peer_identity,
                "serverIdentity": run.completed["client"].peer_identity,
                "clientInit": values["client_init"].hex(),
                "serverInit": values["server_init"].hex(),
                **named(values),
            },
            result={"verdict": "valid", tested: completed_json(run.completed[tested])},
        )
        end = ConcreteEndpoint(tested, _settings.to_model(one if tested == "client" else other))
        if tested == "client":
            end.start()
        for move in moves:
            if move.by != tested:
                assert failed_of(end.receive(move.wire).events) is None
        assert end.state == "OPEN"
    return group
