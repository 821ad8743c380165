"""Vectors of handshakes that must fail: one endpoint under test, spoilt input, the exact error, state and alert."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from alts_model.endpoint import ConcreteEndpoint, Failed, Payload
from alts_model.tables import Role

from . import _bad_frames, _bad_messages, _settings
from ._case import Group, Why, document
from ._files import Json
from ._world import World
from .target import EndpointSettings

Act = tuple[str, bytes]
"""(`start` | `receive` | `end` | `send`, data)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One case: who is under test, what is done to it, and the error that must come of it."""

    name: str
    role: Role
    acts: tuple[Act, ...]
    error: str
    why: Why
    settings: EndpointSettings | None = None
    """Of the endpoint under test; None: the usual one of its role."""


@dataclass
class Honest:
    """The bytes of one honest run, to be spoilt."""

    world: World
    client_init: bytes = field(init=False)
    """Payload, without frame."""
    server_init: bytes = field(init=False)
    server_finished: bytes = field(init=False)
    client_finished: bytes = field(init=False)
    client_record: bytes = field(init=False)
    """A whole frame."""
    server_record: bytes = field(init=False)

    def __post_init__(self) -> None:
        client = ConcreteEndpoint("client", _settings.to_model(self.world.client()))
        server = ConcreteEndpoint("server", _settings.to_model(self.world.server()))
        first = client.start()
        flight = server.receive(first).output
        finished = client.receive(flight).output
        assert server.receive(finished).events
        self.client_init, self.client_finished = first[8:], finished[8:]
        size = 4 + int.from_bytes(flight[:4], "little")
        self.server_init, self.server_finished = flight[8:size], flight[size + 8 :]
        self.client_record, self.server_record = client.send(b"from the client"), server.send(b"from the server")


def generate(seed: str) -> Json:
    """The file `handshake_invalid`."""
    world = World(seed)
    honest = Honest(world)
    endpoints: dict[str, Json] = {}
    groups: list[Group] = []
    sources: dict[str, tuple[str, Callable[[Honest], Iterable[Refusal]]]] = {
        "client_init": ("ClientInit at a server (SPEC 5.2 to 5.4).", _bad_messages.client_inits),
        "server_init": ("ServerInit at a client (SPEC 5.2, 5.3, 5.5).", _bad_messages.server_inits),
        "finished": ("ServerFinished at a client, ClientFinished at a server (SPEC 5.6).", _bad_messages.finisheds),
        "frames": ("Frames, order, alerts, the end of the stream (SPEC 2.3, 3, 5.8).", _bad_frames.frames),
    }
    for kind, (comment, source) in sources.items():
        group = Group(kind, comment)
        for refusal in source(honest):
            _add(group, refusal, world, endpoints)
        groups.append(group)
    return document(
        "handshake_invalid",
        seed,
        "What an endpoint must refuse. `steps` are done to one endpoint, in order; each has the bytes that it "
        "must send because of the step, its state after it and the plaintext that it hands over. The last step "
        "makes it fail with `result`: the error of SPEC.md section 10, the state in which it happened, and the "
        "code of the alert that was sent (null: none).",
        groups,
        endpoints,
    )


def _add(group: Group, refusal: Refusal, world: World, endpoints: dict[str, Json]) -> None:
    usual = world.client() if refusal.role == "client" else world.server()
    settings = refusal.settings or usual
    data = _settings.to_json(settings)
    name = next((have for have, known in endpoints.items() if known == data), None)
    if name is None:
        name = f"{refusal.role}-default" if settings == usual else f"{refusal.role}-{refusal.name}"
        endpoints[name] = data
    end = ConcreteEndpoint(refusal.role, _settings.to_model(settings))
    steps: list[Json] = []
    failed: Failed | None = None
    for action, given in refusal.acts:
        assert failed is None, refusal.name
        output, payload = b"", b""
        if action == "start":
            output = end.start()
        elif action == "send":
            output = end.send(given)
        else:
            step = end.end() if action == "end" else end.receive(given)
            output = step.output
            payload = b"".join(event.data for event in step.events if isinstance(event, Payload))
            failed = next((event for event in step.events if isinstance(event, Failed)), None)
        steps.append(
            {
                "action": action,
                "data": given.hex(),
                "output": output.hex(),
                "state": end.state,
                "payload": payload.hex(),
            }
        )
    assert failed is not None, (refusal.name, refusal.error)
    assert failed.name == refusal.error, (refusal.name, refusal.error, failed)
    alert = bytes.fromhex(steps[-1]["output"])
    group.add(
        refusal.name,
        refusal.why,
        input={"role": refusal.role, "endpoint": name, "steps": steps},
        result={
            "verdict": "invalid",
            "error": failed.name,
            "code": failed.code,
            "state": failed.state,
            "alertSent": alert[-1] if alert else None,
            "alertReceived": failed.alert_code,
        },
    )
