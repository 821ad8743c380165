"""Vectors of the handshaker service's first answer (SPEC 9.2, 9.3): what a stack that asks for nothing special gets."""

from __future__ import annotations

from dataclasses import replace

from alts_model import codec
from alts_model.endpoint import ConcreteEndpoint

from . import _settings, _wire
from ._case import Group, Why, document
from ._files import Json
from ._world import RECORD_PROTOCOL, SERVER, World
from .target import EndpointSettings, RoleName

ALTS = 2
_IDS = ("TRUST-6",)
_SPEC = ("9.1", "9.2", "9.3")
Part = tuple[int, int, bytes]


def text(number: int, value: str | bytes) -> Part:
    """A field of bytes."""
    return number, _wire.BYTES, value.encode() if isinstance(value, str) else value


def number(field: int, value: int) -> Part:
    """A field with a varint."""
    return field, _wire.VARINT, _wire.varint(value)


def account(name: str, field: int = 1) -> bytes:
    """An Identity: by default a service account; field 2 is a host name."""
    return _wire.join([text(field, name)])


def client_start(*parts: Part, protocol: int = ALTS, application: tuple[str, ...] = ("grpc",)) -> bytes:
    """A HandshakerReq with a client_start."""
    fields = [number(1, protocol), *(text(2, name) for name in application), *parts]
    return _wire.join([text(1, _wire.join(fields))])


def server_start(data: bytes, *parts: Part, parameters: bytes = b"", protocol: int = ALTS) -> bytes:
    """A HandshakerReq with a server_start."""
    entry = _wire.join([number(1, protocol), text(2, parameters)])
    return _wire.join([text(2, _wire.join([text(1, "grpc"), text(2, entry), text(3, data), *parts]))])


def rpc(highest: tuple[int, int], lowest: tuple[int, int]) -> bytes:
    """RpcProtocolVersions."""
    versions = [_wire.join([number(1, major), number(2, minor)]) for major, minor in (highest, lowest)]
    return _wire.join([text(1, versions[0]), text(2, versions[1])])


def generate(seed: str) -> Json:
    """The file `handshaker`."""
    world = World(seed)
    endpoints = {"client": world.client(), "server": world.server()}
    groups = [_starts(endpoints), _bad_starts()]
    return document(
        "handshaker",
        seed,
        "The first request of a gRPC stack to the handshaker service (SPEC.md, section 9), and the first answer. The "
        "service holds the endpoint's credential and is configured for no more than defaults.",
        groups,
        {name: _settings.to_json(settings) for name, settings in endpoints.items()},
    )


def _starts(endpoints: dict[str, EndpointSettings]) -> Group:
    group = Group("handshaker_start", "Starts that the service answers with its Init.")
    versions, client = ((2, 3), (2, 0)), endpoints["client"]
    hello = ConcreteEndpoint("client", _settings.to_model(client)).start()
    record, future = text(3, RECORD_PROTOCOL), text(3, "ALTSRP_FUTURE")
    cases: dict[str, tuple[RoleName, bytes, EndpointSettings, str]] = {
        "bare": (
            "client",
            client_start(),
            client,
            "No key, no list, no size: the connection is protected all the same.",
        ),
        "record-list": ("client", client_start(record), client, "The same, said."),
        "unknown-record-protocol": (
            "client",
            client_start(future, record),
            client,
            "A name that this version does not run is never offered.",
        ),
        "frame-size-small": (
            "client",
            client_start(number(10, 100)),
            replace(client, max_frame_size=16384),
            "Sizes outside 5.2 are clamped.",
        ),
        "frame-size-large": ("client", client_start(number(10, 2**31)), client, "Too large a size is clamped too."),
        "frame-size": (
            "client",
            client_start(number(10, 65536)),
            replace(client, max_frame_size=65536),
            "What the stack can buffer.",
        ),
        "rpc-versions": (
            "client",
            client_start(text(9, rpc(*versions))),
            replace(client, rpc_max=versions[0], rpc_min=versions[1]),
            "The stack's RPC versions.",
        ),
        "two-protocols": (
            "client",
            client_start(application=("grpc", "http/1.1")),
            replace(client, application_protocols=("grpc", "http/1.1")),
            "The application's protocols, in its order.",
        ),
        "target": (
            "client",
            client_start(text(4, account(SERVER))),
            client,
            "Whom it expects is not said on the wire.",
        ),
        "server-bare": (
            "server",
            server_start(hello),
            endpoints["server"],
            "A server that asks for nothing special is protected too.",
        ),
        "server-small-frames": (
            "server",
            server_start(hello, number(7, 20000)),
            replace(endpoints["server"], max_frame_size=20000),
            "The smaller size of the two is chosen.",
        ),
    }
    for name, (role, request, settings, reason) in cases.items():
        end = ConcreteEndpoint(role, _settings.to_model(settings))
        frames = end.start() if role == "client" else end.receive(hello).output
        init = frames[8 : 4 + int.from_bytes(frames[:4], "little")]
        group.add(
            name,
            Why(f"a start: {name.replace('-', ' ')}", reason, _IDS, _SPEC, ("Honest",)),
            input={"endpoint": role, "request": request.hex()},
            intermediate={"init": init.hex()},
            result={"verdict": "valid", "outFrames": frames.hex(), **offered(init, role)},
        )
    return group


def offered(init: bytes, role: str) -> Json:
    """What an Init offers, or chooses."""
    if role == "client":
        hello = codec.decode_client_init(init)
        lists = hello.handshake_ciphers, hello.record_protocols, hello.application_protocols
        size = hello.max_frame_size
    else:
        choice = codec.decode_server_init(init)
        lists = (choice.handshake_cipher,), (choice.record_protocol,), (choice.application_protocol,)
        size = choice.max_frame_size
    names = "handshakeCiphers", "recordProtocols", "applicationProtocols"
    return {**{name: list(entries) for name, entries in zip(names, lists, strict=True)}, "maxFrameSize": size}


def _bad_starts() -> Group:
    group = Group("handshaker_start_invalid", "Starts that the service declines; a status is that of gRPC.")
    wrong = "INVALID_ARGUMENT", "FAILED_PRECONDITION"
    local = text(5, account("test/nobody"))
    cases: dict[str, tuple[str, bytes, int, str]] = {
        "not-alts": ("client", client_start(protocol=1), 0, "Another security protocol is asked for."),
        "no-protocol": ("client", client_start(protocol=0), 0, "None is named; nothing is guessed."),
        "no-application": ("client", client_start(application=()), 0, "There must be application protocols."),
        "unprotected": ("client", client_start(text(3, "NONE")), 1, "No list turns the protection off."),
        "record-twice": (
            "client",
            client_start(*[text(3, RECORD_PROTOCOL)] * 2),
            0,
            "A list has no name twice.",
        ),
        "rpc-upside-down": ("client", client_start(text(9, rpc((2, 0), (2, 1)))), 0, "The range is empty."),
        "host-name": (
            "client",
            client_start(text(4, account("backend.example", 2))),
            0,
            "Authentication binds to identities, never to host names.",
        ),
        "unknown-self": ("client", client_start(local), 1, "The service holds no such credential."),
        "server-not-alts": ("server", server_start(b"", protocol=1), 0, "Parameters for ALTS are missing."),
        "server-unprotected": (
            "server",
            server_start(b"", parameters=_wire.join([text(1, "NONE")])),
            1,
            "Nor on the other side.",
        ),
        "next-first": ("client", _wire.join([text(3, b"")]), 1, "Nothing was started."),
        "nothing": ("client", b"", 0, "A request for nothing."),
        "no-message": ("client", b"\xff\xff\xff", 0, "Not a request at all."),
    }
    for name, (role, request, which, reason) in cases.items():
        group.add(
            name,
            Why(f"a start: {name.replace('-', ' ')}", reason, _IDS, _SPEC, ("Start",)),
            input={"endpoint": role, "request": request.hex()},
            result={"verdict": "invalid", "status": wrong[which]},
        )
    return group
