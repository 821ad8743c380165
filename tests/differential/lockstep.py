"""Model and implementation driven as one: each call is made on both, and everything that can be seen is compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import alts
from alts_conformance import vector_target
from alts_model.endpoint import Closed, Completed, ConcreteEndpoint, Failed, Payload
from alts_model.endpoint import Event as ModelEvent
from alts_model.errors import CounterLimit, Misuse
from alts_model.messages import MODE_CLIENT_TICKET, MODE_FULL, MODE_SERVER_TICKET
from alts_model.stores import Resumption as ModelResumption
from alts_vectors import _settings
from alts_vectors._world import World
from alts_vectors.target import EndpointSettings, ResumptionSettings, RoleName

WORLD = World("differential tests")
Seen = tuple[Any, ...]
"""An event in a form that both sides have."""
MODES = {"full": MODE_FULL, "client_ticket": MODE_CLIENT_TICKET, "server_ticket": MODE_SERVER_TICKET}


class Difference(AssertionError):
    """The two did not do the same."""


def seen_by_model(event: ModelEvent) -> Seen:
    """The model's event."""
    match event:
        case Payload(data=data):
            return ("payload", data)
        case Completed():
            return (
                "completed",
                event.peer_identity,
                event.category,
                event.handshake_cipher,
                event.record_protocol,
                event.application_protocol,
                event.rpc_version,
                event.max_frame_size,
                event.transcript_hash,
                event.mode,
            )
        case Failed():
            return ("failed", event.code, event.name, event.state, event.requirements, event.alert_code)
        case Closed():
            return ("closed",)


def seen_by_implementation(event: alts.Event) -> Seen:
    """The implementation's event."""
    match event:
        case alts.PayloadReceived(data=data):
            return ("payload", bytes(data))
        case alts.HandshakeCompleted(peer=peer, negotiated=agreed, evidence=evidence):
            return (
                "completed",
                peer.identity,
                int(peer.category),
                agreed.handshake_cipher,
                agreed.record_protocol,
                agreed.application_protocol,
                agreed.rpc_version,
                agreed.max_frame_size,
                evidence.transcript_hash,
                MODES[agreed.mode],
            )
        case alts.ConnectionFailed(error=error):
            return ("failed", int(error.code), error.code.name, error.state, error.requirements, error.alert_code)
        case alts.ConnectionClosed():
            return ("closed",)
        case _:
            raise Difference(f"an event that the model has not: {event!r}")


class Stores:
    """What a process remembers between connections, twice. Per peer, caches hold more than a test ever makes."""

    def __init__(self, settings: ResumptionSettings) -> None:
        self.settings = settings
        self.model: ModelResumption[bytes] = _settings.resumption_to_model(settings)
        self.implementation = alts.Resumption(
            vector_target.keys_of(settings),
            cache=alts.TicketCache(per_peer=1024),
            server_tickets_with_pfs=settings.forward_secret_server_tickets,
        )

    def set_keys(self, keys: tuple[tuple[int, bytes], ...]) -> None:
        """Other resumption keys from the next handshake on; caches and memories stay."""
        self.settings = replace(self.settings, keys=keys)
        self.model = replace(self.model, keys=_settings.resumption_to_model(self.settings).keys)
        self.implementation.keys = vector_target.keys_of(self.settings)

    def check(self) -> None:
        """Both hold the same tickets, but for dead ones, which the implementation drops when it comes across them."""
        assert self.model.cache is not None
        assert self.model.used is not None
        held = self.implementation.cache
        assert len(self.model.cache) <= len(held) <= 1024
        assert len(self.model.used) <= 65536


class Lockstep:
    """One end, twice: `model` and `implementation`."""

    def __init__(self, role: RoleName, settings: EndpointSettings, stores: Stores | None = None) -> None:
        self.role: RoleName = role
        self.settings = settings
        self.model = ConcreteEndpoint(role, _settings.to_model(settings, None if stores is None else stores.model))
        draws = vector_target.Draws(role, settings)
        self.implementation = alts.Connection(
            alts.Role(role),
            vector_target.configuration_of(settings, None if stores is None else stores.implementation),
            draws.environment,
        )
        draws.connection = self.implementation
        self._states("new")

    @property
    def state(self) -> str:
        """Of both."""
        return self.model.state

    def start(self) -> bytes:
        """Both start; what both send."""
        expected = self._misuse(self.model.start, self.implementation.start)
        return self._output("start", expected or b"")

    def send(self, data: bytes) -> bytes:
        """Both send."""
        expected = self._misuse(lambda: self.model.send(data), lambda: self.implementation.send(data))
        return self._output("send", expected or b"")

    def close(self) -> None:
        """Both close."""
        self.model.close()
        self.implementation.close()
        self._output("close", b"")

    def receive(self, data: bytes) -> tuple[bytes, tuple[Seen, ...]]:
        """Both take bytes; what both send, and both's events."""
        step = self.model.receive(data)
        events = tuple(map(seen_by_implementation, self.implementation.receive_data(data)))
        expected = tuple(map(seen_by_model, step.events))
        if events != expected:
            raise Difference(f"{self.role} got {len(data)} bytes: model {expected}, implementation {events}")
        return self._output("receive", step.output), events

    def end(self) -> tuple[Seen, ...]:
        """Both learn that the stream has ended."""
        step = self.model.end()
        events = tuple(map(seen_by_implementation, self.implementation.receive_end()))
        expected = tuple(map(seen_by_model, step.events))
        if events != expected:
            raise Difference(f"{self.role}, end of stream: model {expected}, implementation {events}")
        self._output("end", step.output)
        return events

    def _misuse(self, model: Any, implementation: Any) -> bytes | None:
        """Both calls; either both or neither is refused, and a refusal changes nothing."""
        before = self.state
        expected, refused = None, None
        try:
            expected = model()
        except (Misuse, CounterLimit) as error:
            refused = type(error).__name__
        try:
            implementation()
        except alts.FrameLimitError:
            found: str | None = "CounterLimit"
        except alts.UsageError:
            found = "Misuse"
        else:
            found = None
        if refused != found:
            raise Difference(f"{self.role} in {before}: model {refused}, implementation {found}")
        if refused == "Misuse" and self.state != before:
            raise Difference(f"misuse changed {before} to {self.state}")
        return expected

    def _output(self, what: str, expected: bytes) -> bytes:
        found = self.implementation.data_to_send()
        if found != expected:
            raise Difference(f"{self.role}, {what}: model sent {expected.hex()}, implementation {found.hex()}")
        self._states(what)
        return found

    def _states(self, what: str) -> None:
        if self.model.state != str(self.implementation.state):
            raise Difference(f"after {what}: model {self.model.state}, implementation {self.implementation.state}")


class Conversation:
    """A client and a server, each twice, that talk to each other."""

    def __init__(
        self,
        client: EndpointSettings,
        server: EndpointSettings,
        client_stores: Stores | None = None,
        server_stores: Stores | None = None,
    ) -> None:
        self.client = Lockstep("client", client, client_stores)
        self.server = Lockstep("server", server, server_stores)

    def handshake(self) -> tuple[bytes, bytes, bytes]:
        """ClientInit, the server's flight, ClientFinished; each as far as it comes."""
        first = self.client.start()
        flight, _ = self.server.receive(first)
        finished, _ = self.client.receive(flight)
        self.server.receive(finished)
        return first, flight, finished


def split_flight(flight: bytes) -> tuple[bytes, bytes]:
    """ServerInit and ServerFinished, each with its frame."""
    size = 4 + int.from_bytes(flight[:4], "little")
    return flight[:size], flight[size:]


CLIENT, SERVER = WORLD.client(), WORLD.server()


class Honest:
    """The frames of one honest run of CLIENT and SERVER, and some records of it."""

    def __init__(self) -> None:
        talk = Conversation(CLIENT, SERVER)
        self.client_init, flight, self.client_finished = talk.handshake()
        self.server_init, self.server_finished = split_flight(flight)
        self.client_records = [talk.client.send(b"question %d" % number) for number in range(4)]
        self.server_records = [talk.server.send(b"answer %d" % number) for number in range(4)]

    def way(self, role: RoleName, state: str) -> list[bytes | None]:
        """What brings an end into a live state: frames, or None for `start`."""
        if role == "client":
            order = ("START", "WAIT_SERVER_INIT", "WAIT_SERVER_FINISHED", "OPEN")
            steps: list[bytes | None] = [None, self.server_init, self.server_finished]
        else:
            order = ("WAIT_CLIENT_INIT", "WAIT_CLIENT_FINISHED", "OPEN")  # type: ignore[assignment]  # shorter
            steps = [self.client_init, self.client_finished]
        return steps[: order.index(state)]


HONEST = Honest()


def end_in(role: RoleName, state: str, settings: EndpointSettings | None = None) -> Lockstep:
    """A pair brought into a state; CLOSED and FAILED by closing and by a frame of no known type."""
    end = Lockstep(role, settings or (CLIENT if role == "client" else SERVER))
    if state == "CLOSED":
        end.close()
    elif state == "FAILED":
        end.receive((4).to_bytes(4, "little") + (99).to_bytes(4, "little"))
    else:
        for step in HONEST.way(role, state):
            if step is None:
                end.start()
            else:
                end.receive(step)
    assert end.state == state
    return end
