"""Two concrete endpoints: honest runs, segmentation, every (state, input) pair, records, limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_model import (
    ERRORS,
    Closed,
    Completed,
    ConcreteEndpoint,
    ConfigurationError,
    CounterLimit,
    Event,
    Failed,
    Misuse,
    Payload,
    Realm,
    RecordMachine,
    Refused,
    Step,
    illegal_pairs,
    reaction,
    record_key,
    violation,
)
from alts_model.tables import INPUTS, STATES, WIRE_INPUTS, Role, find
from tests.model.helpers import (
    BACKEND,
    FRONTEND,
    REALM,
    alert_code,
    client,
    client_configuration,
    failure,
    honest_frame,
    in_state,
    open_pair,
    server,
    split_frames,
)

ROLES: tuple[Role, Role] = ("client", "server")


@pytest.mark.req("TRUST-1", "TRUST-5", "HS-2", "HS-4", "HS-5", "HS-6", "HS-7", "HS-8", "HS-9")
def test_honest_handshake() -> None:
    one, other = client(), server()
    step = other.receive(one.start())
    assert not step.events
    assert [int.from_bytes(part[4:8], "little") for part in split_frames(step.output)] == [17, 18]
    step = one.receive(step.output)
    (at_client,) = step.events
    (at_server,) = other.receive(step.output).events
    assert isinstance(at_client, Completed)
    assert isinstance(at_server, Completed)
    assert (at_client.peer_identity, at_server.peer_identity) == ("prod/backend", "prod/frontend")
    assert replace(at_client, peer_identity="") == replace(at_server, peer_identity="")
    assert one.secrets.values == other.secrets.values
    assert [len(one.secrets.values[name]) for name in ("M", "R", "A", "shared_secret")] == [128, 32, 32, 32]
    assert one.claims == ["ClientStarts", "ClientCompletes"]
    assert other.claims == ["ServerAccepts", "ServerCompletes"]


@pytest.mark.req("HS-4", "REC-3")
def test_negotiation_takes_the_clients_first_and_the_smaller_frame() -> None:
    one = client(application_protocols=("a", "b", "c"), max_frame_size=20000, rpc_versions=((3, 0), (1, 0)))
    other = server(application_protocols=("c", "b"), max_frame_size=30000, rpc_versions=((2, 5), (2, 1)))
    (event,) = one.receive(other.receive(one.start()).output).events
    assert isinstance(event, Completed)
    assert (event.application_protocol, event.max_frame_size, event.rpc_version) == ("b", 20000, (2, 5))


@pytest.mark.req("HS-2", "HS-7", "REC-2")
@given(st.data())
def test_segmentation_has_no_meaning(data: st.DataObject) -> None:
    """Any cut of a conversation, also into single bytes, gives the events and bytes of the uncut one."""
    one, other = client(), server()
    chunks = data.draw(st.lists(st.binary(max_size=40), max_size=4))
    whole = [one.start()]
    whole.append(other.receive(whole[0]).output)
    step = one.receive(whole[1])
    whole.append(step.output + b"".join(one.send(chunk, [len(chunk)]) for chunk in chunks))
    other.receive(whole[2])
    cut_one, cut_other = client(), server()
    cut_one.start()
    for receiver, flight in ((cut_other, whole[0]), (cut_one, whole[1]), (cut_other, whole[2])):
        sizes = data.draw(st.lists(st.integers(1, 700), max_size=8))
        output, events = b"", list[Event]()
        for piece in _cut(flight, sizes):
            got = receiver.receive(piece)
            output += got.output
            events += got.events
        if receiver is cut_one:
            assert (output, tuple(events)) == (step.output, step.events)
    assert [event.data for event in events if isinstance(event, Payload)] == [chunk for chunk in chunks if chunk]
    assert cut_other.secrets.values == other.secrets.values


def _cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@pytest.mark.req("HS-2", "REC-2")
def test_byte_by_byte() -> None:
    one, other = client(), server()
    flights = [(other, one.start())]
    reference_one, reference_other = open_pair()
    events = list[Event]()
    while flights:
        receiver, flight = flights.pop()
        answer = b""
        for value in flight:
            step = receiver.receive(bytes((value,)))
            answer += step.output
            events += step.events
        if answer:
            flights.append((one if receiver is other else other, answer))
    assert len(events) == 2
    assert one.secrets.values == reference_one.secrets.values == reference_other.secrets.values


@pytest.mark.req("HS-8", "HS-9")
def test_the_server_cannot_send_before_client_finished() -> None:
    other = in_state("server", "WAIT_CLIENT_FINISHED")
    with pytest.raises(Misuse):
        other.send(b"early")
    assert other.state == "WAIT_CLIENT_FINISHED"


PAIRS = [(role, state, name) for role in ROLES for state in STATES[role] for name in INPUTS]


@pytest.mark.req("HS-2", "HS-9", "REC-8")
@pytest.mark.parametrize(("role", "state", "name"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_every_pair_through_the_public_interface(role: Role, state: str, name: str) -> None:
    endpoint = in_state(role, state)
    kind = reaction(role, state, name)
    assert (kind == "row") == ((state, name) not in illegal_pairs(role))
    if kind == "misuse":
        with pytest.raises(Misuse):
            endpoint.start() if name == "start" else endpoint.send(b"x")
        assert endpoint.state == state
        return
    if name not in WIRE_INPUTS:
        if name == "close":
            endpoint.close()
            if kind == "ignored":
                assert endpoint.state == state
                return
        else:
            assert endpoint.start() if name == "start" else endpoint.send(b"x")
        assert endpoint.state == next_state(role, state, name)
        return
    if kind == "row" and name == "data":
        step = endpoint.receive(partner_data(endpoint))
    else:
        # In OPEN a frame must be long enough for a tag before its type is looked at.
        step = endpoint.end() if name == "end" else endpoint.receive(honest_frame(name, padded=state == "OPEN"))
    if kind == "ignored":
        assert (step.output, step.events, endpoint.state) == (b"", (), state)
    elif kind == "violation":
        error, alerts = violation(role, state, name)
        assert failure(step) == Failed(ERRORS[error].code, error, state, ERRORS[error].requirements)
        assert endpoint.state == "FAILED"
        assert (alert_code(step.output) if alerts else step.output) == (ERRORS[error].code if alerts else b"")
    else:
        assert endpoint.state == next_state(role, state, name)
        assert step.events or (role, name) in (("client", "server_init"), ("server", "client_init"))


def next_state(role: Role, state: str, name: str) -> str:
    row = find(role, state, name)
    assert row is not None
    return row.next_state


def partner_data(endpoint: ConcreteEndpoint) -> bytes:
    """A record that the endpoint's partner would send first: all fresh endpoints here share keys and nonces."""
    one, other = open_pair()
    return (other if endpoint.role == "client" else one).send(b"payload")


@pytest.mark.req("HS-2")
@pytest.mark.parametrize(("role", "state"), [(role, state) for role in ROLES for state in STATES[role]])
def test_header_alone_is_enough_to_refuse(role: Role, state: str) -> None:
    """SPEC.md 3.3 and 3.4: length and type are judged without waiting for the payload."""
    if state in ("CLOSED", "FAILED"):
        return
    is_open = state == "OPEN"
    for head, error in (
        (b"\x03\0\0\0", "DECODE_ERROR"),
        ((16385 if not is_open else 1048577).to_bytes(4, "little"), "FRAME_TOO_LARGE"),
        (b"\x20\0\0\0\x07\0\0\0", "UNEXPECTED_MESSAGE"),
    ):
        endpoint = in_state(role, state)
        for value in head[:-1]:
            assert endpoint.receive(bytes((value,))).events == ()
        step = endpoint.receive(head[-1:])
        assert (failure(step).name, failure(step).state) == (error, state)
        assert bool(step.output) != is_open
        assert endpoint.receive(bytes(100)) == endpoint.receive(b"")
        assert endpoint.end().events == ()


@pytest.mark.req("REC-2")
def test_an_open_frame_needs_a_tag() -> None:
    one, _ = open_pair()
    assert failure(one.receive(b"\x13\0\0\0")).name == "DECODE_ERROR"


@pytest.mark.req("REC-2", "REC-3")
def test_frames_stay_within_the_negotiated_size() -> None:
    one, other = open_pair(max_frame_size=16384)
    data = bytes(40000)
    frames = split_frames(one.send(data))
    assert [len(part) for part in frames] == [16384, 16384, 40000 - 2 * 16360 + 24]
    assert (
        b"".join(event.data for event in other.receive(b"".join(frames)).events if isinstance(event, Payload)) == data
    )
    with pytest.raises(Misuse):
        one.send(bytes(16361), [16361])
    with pytest.raises(Misuse):
        one.send(b"abc", [1, 1])
    assert one.state == "OPEN"
    # A receiver takes frames whose `length` is the limit itself: the length field does not count.
    assert failure(other.receive((16385).to_bytes(4, "little"))).name == "FRAME_TOO_LARGE"


@pytest.mark.req("REC-2")
def test_empty_frames_deliver_nothing() -> None:
    one, other = open_pair()
    assert one.send(b"") == b""
    whole = one.send(b"", [0])
    assert len(whole) == 24
    assert other.receive(whole + one.send(b"x")).events == (Payload(b"x"),)


@pytest.mark.req("REC-8")
def test_end_at_a_boundary_closes_and_inside_a_frame_fails() -> None:
    one, other = open_pair()
    assert one.end().events == (Closed(),)
    assert one.state == "CLOSED"
    other.receive(b"\x20")
    assert failure(other.end()).name == "TRUNCATED"
    assert other.end() == other.receive(bytes(9)) == Step(b"", ())


@pytest.mark.req("REC-5", "REC-8")
@pytest.mark.parametrize("fault", ["flip", "replay", "drop", "reorder", "reflect", "short"])
def test_records_that_do_not_open(fault: str) -> None:
    one, other = open_pair()
    first, second = split_frames(one.send(b"firstsecond", [5, 6]))
    own = other.send(b"own")
    flipped = first[:-1] + bytes((first[-1] ^ 1,))
    stream = {
        "flip": flipped + second,
        "replay": first + first,
        "drop": second,
        "reorder": second + first,
        "reflect": own,
        "short": (20).to_bytes(4, "little") + first[4:8] + first[8:24],
    }[fault]
    step = other.receive(stream)
    assert (failure(step).name, failure(step).state, step.output) == ("BAD_RECORD", "OPEN", b"")
    assert [event for event in step.events if isinstance(event, Payload)] == ([Payload(b"first")] * (fault == "replay"))
    assert other.receive(second).events == ()


@pytest.mark.req("REC-6", "REC-8")
def test_both_directions_cross_the_rekey_boundary() -> None:
    one, other = open_pair()
    one.jump(sent=2**16 - 1, received=2**16 - 1)
    other.jump(sent=2**16 - 1, received=2**16 - 1)
    for sender, receiver in ((one, other), (other, one)):
        assert list(receiver.receive(sender.send(b"abc", [1, 1, 1])).events) == [
            Payload(b"a"),
            Payload(b"b"),
            Payload(b"c"),
        ]
    keys = {record.where.key for record in one.secrets.records}
    nonces = {record.where.nonce for record in one.secrets.records}
    assert (len(keys), len(nonces)) == (2, 6)


@pytest.mark.req("REC-4")
def test_the_frame_limit() -> None:
    one, other = open_pair()
    one.jump(sent=2**64 - 1)
    other.jump(received=2**64 - 1)
    with pytest.raises(CounterLimit):
        one.send(b"ab", [1, 1])
    assert one.state == "CLOSED"
    assert one.secrets.records == []
    one, _ = open_pair()
    one.jump(sent=2**64 - 1)
    last = one.send(b"z")
    assert other.receive(last).events == (Payload(b"z"),)
    assert failure(other.receive(last)).name == "COUNTER_LIMIT"
    with pytest.raises(CounterLimit):
        one.send(b"z")


@pytest.mark.req("REC-6")
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.sampled_from(ROLES), st.sampled_from(ROLES))
def test_a_nonce_never_repeats_under_a_key(first: int, second: int, sender: Role, other: Role) -> None:
    M = bytes(range(128))
    left, right = record_key(M, sender, first), record_key(M, other, second)
    same = (first, sender) == (second, other)
    assert ((left.key, left.nonce) == (right.key, right.nonce)) == same
    assert (left.key == right.key) == (first >> 16 == second >> 16)
    assert left.counter[:8] == first.to_bytes(8, "little")


@pytest.mark.req("REC-4", "REC-6")
def test_record_machine_walks_the_record_table() -> None:
    M = bytes(range(128))
    one = RecordMachine(M, "client", send_counter=2**64 - 1)
    other = RecordMachine(M, "server", receive_counter=2**64 - 1)
    assert other.open(one.seal(b"last")[8:]) == b"last"
    assert (one.send_state, other.receive_state) == ("EXHAUSTED", "EXHAUSTED")
    with pytest.raises(CounterLimit):
        one.seal(b"")
    with pytest.raises(Refused, match="COUNTER_LIMIT"):
        other.open(bytes(16))
    assert (one.send_state, other.receive_state) == ("FAILED", "FAILED")
    broken = RecordMachine(M, "server")
    with pytest.raises(Refused, match="BAD_RECORD"):
        broken.open(bytes(16))
    with pytest.raises(Refused, match="BAD_RECORD"):
        broken.open(RecordMachine(M, "client").seal(b"x")[8:])


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": bytes(31)},
        {"handshake_ciphers": ("X25519_PFS_SHA256",)},
        {"record_protocols": ("ALTSRP_GCM_AES128_REKEY", "ALTSRP_GMAC_128")},
        {"application_protocols": ()},
        {"application_protocols": ("a b",)},
        {"rpc_versions": ((2, 0), (2, 1))},
        {"max_frame_size": 16383},
        {"target_identities": frozenset({"not//good"})},
    ],
)
def test_unsound_configurations_are_the_callers_error(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        client(**changes)


def test_nothing_printed_holds_a_secret() -> None:
    one, _ = open_pair()
    configuration = client_configuration()
    texts = [repr(configuration), repr(one.secrets), repr(one), repr(record_key(one.secrets.values["M"], "client", 0))]
    texts.append(repr(FRONTEND))
    for secret in (*(one.secrets.values[name] for name in ("M", "A", "prk")), configuration.credential.private_key):
        assert not any(repr(secret)[2:-1] in text or secret.hex() in text for text in texts)


@pytest.mark.req("TRUST-2")
def test_a_server_may_expect_identities_too() -> None:
    other = server(target_identities=frozenset({"prod/someone"}))
    assert failure(other.receive(client().start())).name == "WRONG_IDENTITY"


@settings(max_examples=200)
@given(st.data())
def test_mutated_conversations_end_in_a_typed_way(data: st.DataObject) -> None:
    """One byte changed, cut out or put in, anywhere in the three flights: no exception, nothing delivered wrongly."""
    one, other = client(), server()
    target = data.draw(st.integers(0, 2))
    receivers = [other, one, other]
    flight = one.start()
    for index in range(3):
        if index == target:
            at = data.draw(st.integers(0, len(flight) - 1))
            value = data.draw(st.integers(0, 255))
            middle = data.draw(st.sampled_from([bytes((value,)), b"", bytes((value, flight[at]))]))
            changed = flight[:at] + middle + flight[at + 1 :]
            step = receivers[index].receive(changed)
            # An added last byte is the beginning of another frame, not a change.
            if changed.startswith(flight):
                return
            assert receivers[index].state in (
                "FAILED",
                "WAIT_SERVER_INIT",
                "WAIT_SERVER_FINISHED",
                "WAIT_CLIENT_INIT",
                "WAIT_CLIENT_FINISHED",
            )
            if receivers[index].state == "WAIT_CLIENT_FINISHED" and index == 0:
                # A change that the server cannot see in ClientInit (a nonce, say) is seen in Finished.
                step = one.receive(step.output)
                assert failure(step).name == "BAD_FINISHED"
            return
        flight = receivers[index].receive(flight).output


def test_the_realm_follows_from_its_seed() -> None:
    again = Realm(bytes(range(32)))
    assert (again.issue("prod/frontend"), again.issue("prod/backend")) == (FRONTEND, BACKEND)
    assert Realm(bytes(32)).issue("prod/frontend") != FRONTEND
    assert REALM.trust_anchors == again.trust_anchors
