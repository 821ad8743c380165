"""The short ways of the handshake against the long ones: HMAC and HKDF, encodings, and messages that come again."""

from __future__ import annotations

import functools
import hmac
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from alts import (
    Category,
    Configuration,
    Connection,
    Environment,
    ErrorCode,
    Peer,
    PeerViolation,
    Realm,
    Resumption,
    ResumptionKeys,
    Role,
    Secrets,
    Session,
)
from alts import _key_schedule as schedule
from alts import _messages as wire
from alts import _tickets as tickets
from alts._contents import Ticket
from alts._names import NAME
from alts_schema import handshake_pb2, ticket_pb2

NOW = 1_700_000_000
SERVER, CLIENT = "shop/backend", "shop/frontend"
KEYS = st.binary(max_size=64) | st.binary(min_size=32, max_size=32) | st.binary(min_size=65, max_size=200)


@pytest.mark.req("HS-3")
@given(st.lists(st.sampled_from(sorted(wire._USUAL_NAMES)) | st.text(max_size=3), max_size=4))
def test_usual_names_are_names(names: list[str]) -> None:
    right = bool(names) and len(set(names)) == len(names) and all(map(NAME.fullmatch, names))
    assert all(map(NAME.fullmatch, wire._USUAL_NAMES))
    if right:
        wire.check_names(names, "the list")
    else:
        with pytest.raises(PeerViolation):
            wire.check_names(names, "the list")


@pytest.mark.req("HS-5")
@given(KEYS, st.binary(max_size=300), st.binary(max_size=300))
def test_hmac_is_hmac(key: bytes, first: bytes, second: bytes) -> None:
    mac = schedule.keyed(key)
    for message in (first, second, first):
        assert mac(message) == schedule.hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


@pytest.mark.req("HS-5")
@given(st.binary(min_size=32, max_size=128), st.binary(min_size=32, max_size=32))
def test_the_key_schedule_is_hkdf(material: bytes, th: bytes) -> None:
    def lp(data: bytes) -> bytes:
        return len(data).to_bytes(2, "big") + data

    key = HKDF.extract(SHA256(), b"openalts v1 handshake", material)
    context = th + lp(CLIENT.encode()) + lp(SERVER.encode())
    sizes = {b"record": 128, b"resumption": 32, b"authenticator": 32}
    expected = [HKDFExpand(SHA256(), size, lp(label) + context).derive(key) for label, size in sizes.items()]
    assert schedule.derive_secrets(material, th, CLIENT, SERVER) == Secrets(*expected)


@pytest.mark.req("HS-5")
def test_no_record_shows_its_secret() -> None:
    secret = bytes(range(65, 97))
    peer = Peer(CLIENT, Category.WORKLOAD, "ca", "", (1, 2), 0, bytes(32), bytes(32))
    session = Session(secret, peer, peer, wire.X25519_STATIC_SHA256, NOW, NOW)
    held = tickets.HeldTicket(bytes(16), 1, b"sealed", session, NOW, Role.SERVER)
    for shown in (Secrets(secret, secret, secret), session, held):
        for text in (repr(shown), str(shown), f"{shown}"):
            assert secret.hex() not in text
            assert repr(secret)[2:-1] not in text


ISSUED = st.builds(
    Ticket,
    st.binary(min_size=16, max_size=16),
    st.integers(1, 2**64 - 1) | st.integers(1, 300),
    st.integers(1, 4096).map(os.urandom) | st.integers(1, 160).map(os.urandom),
    st.integers(1, 86400),
)
HASHES = st.binary(min_size=32, max_size=32)


def by_library(ticket: Ticket, kind: type[Any]) -> Any:
    fields = {name: value for name, value in ticket._asdict().items() if name in kind.DESCRIPTOR.fields_by_name}
    return kind(**fields)


@pytest.mark.req("HS-7", "HS-9", "RES-3", "RES-4")
@given(HASHES, HASHES, st.none() | ISSUED)
def test_finished_is_encoded_as_the_library_does(one: bytes, two: bytes, ticket: Ticket | None) -> None:
    issued = None if ticket is None else by_library(ticket, handshake_pb2.IssuedTicket)
    for kind in (handshake_pb2.ServerFinished, handshake_pb2.ClientFinished):
        message = kind(authenticator=one, ticket_authenticator=two, ticket=issued)
        encoded = wire.encode_finished(one, two, ticket)
        assert encoded == message.SerializeToString(deterministic=True)
        assert wire.decode_finished(kind, encoded) == (one, two, ticket)


@pytest.mark.req("HS-3", "HS-6", "RES-3", "RES-4")
@given(HASHES, st.none() | ISSUED, st.sampled_from([b"", bytes(16)]), st.binary(max_size=40))
def test_inits_are_encoded_as_the_library_does(
    nonce: bytes, ticket: Ticket | None, resumption_id: bytes, share: bytes
) -> None:
    own = configuration(CLIENT, SERVER)
    held = None if ticket is None else ticket[:3]
    presented = None if ticket is None else by_library(ticket, handshake_pb2.PresentedTicket)
    named = handshake_pb2.ClientInit(resumption_id=resumption_id).SerializeToString(deterministic=True)
    first = wire.encode_client_init(own.client_init, nonce, {wire.X25519_PFS_SHA256: share}, named, held)
    versions = handshake_pb2.RpcVersions(
        max=handshake_pb2.Version(major=2, minor=1), min=handshake_pb2.Version(major=2, minor=1)
    )
    assert first == handshake_pb2.ClientInit(
        version=1,
        nonce=nonce,
        certificate=own.credential.certificate,
        handshake_ciphers=own.handshake_ciphers,
        record_protocols=own.record_protocols,
        key_shares=[handshake_pb2.KeyShare(handshake_cipher=wire.X25519_PFS_SHA256, share=share)],
        application_protocols=own.application_protocols,
        rpc_versions=versions,
        max_frame_size=own.max_frame_size,
        resumption_id=resumption_id,
        ticket=presented,
    ).SerializeToString(deterministic=True)
    names = wire.X25519_PFS_SHA256, wire.ALTSRP_GCM_AES128_REKEY, "grpc"
    fields = wire.answer_fields(*names, own.rpc_versions, 1 << 14)
    assert wire.encode_server_init(nonce, 3, b"", fields, share, held) == handshake_pb2.ServerInit(
        version=1,
        nonce=nonce,
        mode=handshake_pb2.SERVER_TICKET,
        handshake_cipher=names[0],
        record_protocol=names[1],
        application_protocol=names[2],
        rpc_versions=versions,
        max_frame_size=1 << 14,
        key_share=share,
        ticket=presented,
    ).SerializeToString(deterministic=True)


@functools.cache
def configuration(identity: str, target: str = "") -> Configuration:
    keys = ResumptionKeys(identity.ljust(16, "-").encode()[:16], {1: bytes(32)})
    targets = frozenset({target}) if target else frozenset()
    realm = the_realm()
    return Configuration(
        realm.workload(identity), realm.trust(), target_identities=targets, resumption=Resumption(keys)
    )


@functools.cache
def the_realm() -> Realm:
    return Realm(os.urandom, NOW)


@functools.cache
def messages() -> dict[str, bytes]:
    """Payloads of a full and of a resumed handshake; both sides make tickets."""
    environment = Environment(lambda: NOW, os.urandom)
    found: dict[str, bytes] = {}
    for name in ("full", "resumed"):
        client = Connection(Role.CLIENT, configuration(CLIENT, SERVER), environment)
        server = Connection(Role.SERVER, configuration(SERVER), environment)
        client.start()
        flights = [client.data_to_send()]
        server.receive_data(flights[-1])
        flights.append(server.data_to_send())
        client.receive_data(flights[-1])
        flights.append(client.data_to_send())
        server.receive_data(flights[-1])
        assert server.result is not None
        assert server.result.negotiated.mode == ("full" if name == "full" else "client_ticket")
        for flight in flights:
            while flight:
                size = int.from_bytes(flight[:4], "little") + 4
                found[f"{name} {flight[4]}"], flight = flight[8:size], flight[size:]
    return found


def finished_by_library(kind: type[Any], data: bytes) -> tuple[bytes, bytes, Ticket | None]:
    """`decode_finished`, all the way by the library."""
    try:
        message = kind.FromString(data)
    except DecodeError:
        raise PeerViolation(ErrorCode.DECODE_ERROR, "") from None
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != data:
        raise PeerViolation(ErrorCode.DECODE_ERROR, "")
    ticket = None
    if message.HasField("ticket"):
        issued = message.ticket
        ticket = Ticket(issued.resumption_id, issued.key_epoch, issued.ticket, issued.lifetime_seconds)
    legal = len(message.authenticator) == len(message.ticket_authenticator) == 32
    if ticket is not None:
        sizes = len(ticket.resumption_id) == 16 and 1 <= len(ticket.ticket) <= 4096
        legal = legal and sizes and ticket.key_epoch >= 1 and 1 <= ticket.lifetime_seconds <= 86400
    if not legal:
        raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, "")
    return message.authenticator, message.ticket_authenticator, ticket


SHORT_AND_LONG: dict[str, tuple[Callable[[bytes], object], Callable[[bytes], object]]] = {
    "16": (wire.decode_client_init, wire._new_client_init),
    "17": (wire.decode_server_init, wire._answer),
    "18": (
        lambda data: wire.decode_finished(handshake_pb2.ServerFinished, data),
        lambda data: finished_by_library(handshake_pb2.ServerFinished, data),
    ),
    "19": (
        lambda data: wire.decode_finished(handshake_pb2.ClientFinished, data),
        lambda data: finished_by_library(handshake_pb2.ClientFinished, data),
    ),
}


def heard(data: bytes, name: str) -> None:
    """Decode, and remember as after a Finished that was right."""
    if name == "16":
        wire.remember_client_init(data, *wire.decode_client_init(data))
    elif name == "17":
        wire.remember_server_init(data, wire.decode_server_init(data))


def outcome(decode: Callable[[bytes], object], data: bytes) -> object:
    try:
        return decode(data)
    except PeerViolation as violation:
        return violation.code


@st.composite
def near(draw: st.DrawFn) -> tuple[str, bytes]:
    """A message like one that was seen: some bytes changed, cut, put in or doubled, most often where fields begin."""
    name = draw(st.sampled_from(sorted(messages())))
    data = bytearray(messages()[name])
    places = st.integers(0, len(data)) | st.sampled_from([0, 1, 2, 3, 4, 34, 35, 36, 37, 38, 68, 69, 70, 71, 72])
    places |= st.integers(max(0, len(data) - 500), len(data)) | st.sampled_from([len(data) - 2, len(data) - 1])
    for _ in range(draw(st.integers(0, 3))):
        at = min(draw(places), len(data))
        match draw(st.sampled_from(["set", "flip", "insert", "delete", "cut", "double", "append"])):
            case "set":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "flip":
                data[at : at + 1] = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1])
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "delete":
                del data[at : at + draw(st.integers(1, 40))]
            case "cut":
                del data[at:]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 700))]
            case "append":
                data += draw(
                    st.sampled_from([b"\x62\x00", b"\x6a\x00", b"\x1a\x00", b"\x5a\x00", b"\x00", b"\x70\x01"])
                )
    return name, bytes(data)


@pytest.mark.req("HS-3", "HS-6", "HS-7", "HS-9")
@settings(max_examples=1500)
@given(near())
def test_what_is_remembered_changes_no_verdict(case: tuple[str, bytes]) -> None:
    name, data = case
    short, long = SHORT_AND_LONG[name.split()[1]]
    for seen in messages():  # whatever came last with this certificate is remembered
        if seen.split()[1] == name.split()[1]:
            heard(messages()[seen], name.split()[1])
            assert outcome(short, data) == outcome(long, data)
    assert outcome(short, data) == outcome(long, data)


@pytest.mark.req("HS-3", "HS-6")
def test_a_repeated_message_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    resumed = {name: data for name, data in messages().items() if name.startswith("resumed")}
    for name, data in resumed.items():
        heard(data, name.split()[1])

    def parse(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(wire, "_parse", parse)
    for name, data in resumed.items():
        SHORT_AND_LONG[name.split()[1]][0](data)


@pytest.mark.req("HS-3", "HS-6", "HS-5")
def test_a_stranger_leaves_nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Init is remembered when the Finished that follows is right, not before (SPEC 11.1)."""
    offers: dict[bytes, object] = {}
    answers: dict[bytes, object] = {}
    monkeypatch.setattr(wire, "_OFFERS", offers)
    monkeypatch.setattr(wire, "_ANSWERS", answers)
    realm = Realm(os.urandom, NOW)
    environment = Environment(lambda: float(NOW), os.urandom)
    configurations = {name: Configuration(realm.workload(name), realm.trust()) for name in (CLIENT, SERVER)}
    client = Connection(Role.CLIENT, configurations[CLIENT], environment)
    server = Connection(Role.SERVER, configurations[SERVER], environment)
    client.start()
    server.receive_data(client.data_to_send())
    reply = server.data_to_send()
    client.receive_data(reply[:-1])
    assert (offers, answers) == ({}, {})
    client.receive_data(reply[-1:])
    assert len(answers) == 1
    finished = client.data_to_send()
    server.receive_data(finished[:-1] + bytes([finished[-1] ^ 1]))
    assert server.result is None
    assert offers == {}
    result = client.result
    assert result is not None
    for text in (json.dumps({"handshake": result}, default=repr), repr(result)):  # what walks it finds no secret either
        assert repr(result.record_secret)[2:-1] not in text
        assert json.dumps(list(result.record_secret))[1:-1] not in text


@pytest.mark.req("HS-3")
def test_memories_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_MOST_REMEMBERED", 3)
    memory: dict[bytes, int] = {}
    for number in range(10):
        wire.remember(memory, bytes([number]), number)
        assert len(memory) <= 3
        assert memory[bytes([number])] == number


def party(number: int, identity: str) -> Peer:
    return Peer(identity, Category.WORKLOAD, "ca", "", (number, number + 1), 0, bytes([number]) * 32, bytes(32))


@pytest.mark.req("RES-2", "CRED-3")
@given(HASHES, st.integers(0, 2**63) | st.just(NOW), st.integers(0, 2**63) | st.just(NOW))
def test_a_ticket_is_what_the_library_would_make(secret: bytes, created: int, full: int) -> None:
    keys = ResumptionKeys(bytes(16), {1: bytes(32), 7: bytes(range(32))})
    session = Session(secret, party(1, CLIENT), party(3, SERVER), wire.X25519_STATIC_SHA256, created, full)
    epoch, ticket = tickets.seal_ticket(keys, Role.SERVER, session, lambda size: bytes(range(size)))
    assert epoch == 7
    key = HKDF(SHA256(), 32, ticket[:32], b"openalts v1 ticket key").derive(keys.keys[7])
    data = tickets._associated_data(Role.SERVER, SERVER, bytes(16), 7)
    contents = AESGCM(key).decrypt(bytes(12), ticket[32:], data)
    message = ticket_pb2.TicketContents.FromString(contents)
    assert message.SerializeToString(deterministic=True) == contents
    assert (message.version, message.secret, message.created, message.full_handshake) == (1, secret, created, full)
    assert (message.maker.identity, message.holder.identity) == (SERVER, CLIENT)
    near = all(2**28 <= time < 2**35 for time in (created, full))
    assert tickets._as_written(contents) == (session if near else None)
    assert tickets.open_ticket(keys, Role.SERVER, SERVER, bytes(16), 7, ticket) == session
    # written in another way by a replica: fields in descending order say the same
    salt = bytes(32)
    names = [field.name for field, _ in message.ListFields()]
    parts = [ticket_pb2.TicketContents(**{name: getattr(message, name)}).SerializeToString() for name in names[::-1]]
    key = HKDF(SHA256(), 32, salt, b"openalts v1 ticket key").derive(keys.keys[7])
    other = salt + AESGCM(key).encrypt(bytes(12), b"".join(parts), data)
    assert tickets.open_ticket(keys, Role.SERVER, SERVER, bytes(16), 7, other) == session


PARTIES = st.builds(
    ticket_pb2.Party,
    category=st.integers(0, 4),
    identity=st.sampled_from([CLIENT, SERVER]),
    boundary=st.sampled_from(["", "west"]),
    not_after=st.sampled_from([0, NOW]),
    certificate_digest=st.binary(max_size=2),
)
TIMES = st.integers(0, 2**64 - 1) | st.integers(2**28 - 2, 2**28 + 2) | st.integers(2**35 - 2, 2**35 + 2) | st.just(NOW)


@pytest.mark.req("RES-2", "CRED-3")
@settings(max_examples=1000)
@given(st.data())
def test_contents_of_a_ticket_mean_what_the_library_reads(data: st.DataObject) -> None:
    """Read as written by this version or by the library: the same, also where another version wrote it differently."""
    message = ticket_pb2.TicketContents(
        version=data.draw(st.sampled_from([1, 1, 1, 0, 2])),
        secret=data.draw(st.binary(min_size=32, max_size=32) | st.binary(max_size=33)),
        holder=data.draw(PARTIES),
        maker=data.draw(PARTIES),
        handshake_cipher=data.draw(st.sampled_from([wire.X25519_STATIC_SHA256] * 3 + ["", "OTHER"])),
        created=data.draw(TIMES),
        full_handshake=data.draw(TIMES),
    )
    raw = message.SerializeToString(deterministic=True)
    if data.draw(st.booleans()):  # something of another message in the middle, where the ends are
        extra = ticket_pb2.TicketContents(
            version=data.draw(st.integers(0, 2)), secret=data.draw(st.binary(max_size=2)), created=data.draw(TIMES)
        )
        raw = raw[:36] + extra.SerializeToString() + raw[36:]
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + data.draw(st.integers(0, 3)) :]

    try:
        slowly = tickets._as_parsed(raw)
    except (DecodeError, ValueError):
        slowly = None
    assert tickets._as_written(raw) in (slowly, None)


@pytest.mark.req("RES-2", "CRED-3")
@pytest.mark.parametrize("extra", [b"\x08\x00", b"\x12\x00", b"\x08\x01", b"\x30\x00"])
def test_a_field_once_more_among_the_ends_is_left_to_the_library(extra: bytes) -> None:
    peer = party(1, CLIENT)
    session = Session(bytes(32), peer, party(3, SERVER), wire.X25519_STATIC_SHA256, NOW, NOW)
    keys = ResumptionKeys(bytes(16), {1: bytes(32)})
    _, ticket = tickets.seal_ticket(keys, Role.SERVER, session, lambda size: bytes(range(size)))
    key = HKDF(SHA256(), 32, ticket[:32], b"openalts v1 ticket key").derive(keys.keys[1])
    raw = AESGCM(key).decrypt(bytes(12), ticket[32:], tickets._associated_data(Role.SERVER, SERVER, bytes(16), 1))
    assert tickets._as_written(raw) == session
    changed = raw[:-12] + extra + raw[-12:]
    assert tickets._as_written(changed) is None
    no_times = raw[:-12] + b"\xff" + bytes(5) + b"\xff" + bytes(5)
    assert tickets._as_written(no_times) is None
