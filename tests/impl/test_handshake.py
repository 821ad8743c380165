"""The handshake through the public API: agreement, every refusal with its code and state, secrets that stay in."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import pytest

from alts import (
    STATES,
    TABLE,
    TRANSITIONS,
    Category,
    Connection,
    ErrorCode,
    Event,
    HandshakeCompleted,
    Input,
    Policy,
    Realm,
    Role,
    Rule,
    Secrets,
    State,
    Trust,
    UsageError,
)
from alts_schema import handshake_pb2 as messages
from tests.impl.pair import CLIENT, NOW, SERVER, Pair, code, failure, open_pair, payload

FRAME = {"client_init": 16, "server_init": 17, "server_finished": 18, "client_finished": 19, "alert": 31, "data": 6}


def frame(number: int, body: bytes) -> bytes:
    return struct.pack("<II", len(body) + 4, number) + body


def completed(events: list[Event]) -> HandshakeCompleted:
    event = events[0]
    assert isinstance(event, HandshakeCompleted), events
    return event


@pytest.mark.req("TRUST-1", "TRUST-5", "HS-5", "HS-6", "HS-8", "HS-9")
def test_both_sides_learn_the_same_and_each_other() -> None:
    pair = Pair(client={"target_identities": frozenset({SERVER})}, server={"max_frame_size": 65536})
    client, server = map(completed, pair.handshake())
    assert client.negotiated == server.negotiated
    assert client.negotiated.max_frame_size == 65536
    assert client.evidence.transcript_hash == server.evidence.transcript_hash
    assert (client.peer.identity, server.peer.identity) == (SERVER, CLIENT)
    assert (client.local_identity, server.local_identity) == (CLIENT, SERVER)
    assert client.peer.issuer == Realm.CLUSTER_MASTER_NAME
    assert client.peer.certificate_digest == server.evidence.own_certificate_digest
    assert pair.client.result is not None
    assert pair.server.result is not None
    assert pair.client.result.record_secret == pair.server.result.record_secret


@pytest.mark.req("HS-8", "HS-9")
def test_payload_may_follow_client_finished_in_one_segment_and_no_server_payload_precedes_it() -> None:
    pair = Pair()
    pair.client.start()
    pair.server.receive_data(pair.client.data_to_send())
    with pytest.raises(UsageError):
        pair.server.send(b"too early")
    pair.client.receive_data(pair.server.data_to_send())
    pair.client.send(b"one round trip")
    assert payload(pair.server.receive_data(pair.client.data_to_send())) == b"one round trip"


@pytest.mark.req("HS-4", "REC-1", "TRUST-7")
def test_the_first_of_the_clients_list_that_the_server_allows() -> None:
    pair = Pair(
        client={"application_protocols": ("x", "b", "a")},
        server={"application_protocols": ("a", "b")},
    )
    client, _ = map(completed, pair.handshake())
    assert client.negotiated.application_protocol == "b"


def allow(*rules: Rule) -> Any:
    return lambda realm: dataclasses.replace(realm.trust(), policy=Policy(rules))


def other_realm(realm: Realm) -> Trust:
    return Realm(realm.random, NOW).trust()


def revoke(field: int) -> Any:
    def trust(realm: Realm) -> Trust:
        return dataclasses.replace(realm.trust(), is_revoked=lambda revocation_id: revocation_id & 1 == field)

    return trust


def silent(realm: Realm) -> Trust:
    return dataclasses.replace(realm.trust(), is_revoked=lambda _: None)


def expired(realm: Realm) -> Any:
    master = realm.ca.issue_master("machine/one", Category.MACHINE, not_before=NOW - 10, not_after=NOW + 100)
    return realm.ca.issue_handshake(master)


def user(realm: Realm) -> Any:
    return realm.human("alice")


REFUSALS: list[tuple[ErrorCode, Role, dict[str, Any], dict[str, Any]]] = [
    (ErrorCode.NO_COMMON_APPLICATION_PROTOCOL, Role.SERVER, {"application_protocols": ("x",)}, {}),
    (ErrorCode.NO_COMMON_RPC_VERSION, Role.SERVER, {"rpc_versions": ((3, 0), (3, 5))}, {}),
    (ErrorCode.UNKNOWN_AUTHORITY, Role.SERVER, {}, {"trust": other_realm}),
    (ErrorCode.UNKNOWN_AUTHORITY, Role.CLIENT, {"trust": other_realm}, {}),
    (ErrorCode.POLICY_DENIED, Role.SERVER, {}, {"trust": allow()}),
    (ErrorCode.POLICY_DENIED, Role.CLIENT, {"trust": allow(Rule("ca", Category.WORKLOAD, "**"))}, {}),
    (ErrorCode.POLICY_DENIED, Role.CLIENT, {"trust": allow(Rule("cluster-master", Category.HUMAN, "**"))}, {}),
    (ErrorCode.POLICY_DENIED, Role.CLIENT, {"trust": allow(Rule("cluster-master", Category.WORKLOAD, "dev/**"))}, {}),
    (ErrorCode.CERTIFICATE_REVOKED, Role.SERVER, {}, {"trust": revoke(0)}),
    (ErrorCode.CERTIFICATE_REVOKED, Role.SERVER, {}, {"trust": revoke(1)}),
    (ErrorCode.CERTIFICATE_REVOKED, Role.CLIENT, {"trust": silent}, {}),
    (ErrorCode.CERTIFICATE_EXPIRED, Role.SERVER, {"credential": expired}, {}),
    (ErrorCode.CATEGORY_REFUSED, Role.CLIENT, {}, {"credential": user}),
    (ErrorCode.WRONG_IDENTITY, Role.CLIENT, {"target_identities": frozenset({CLIENT, "prod/other"})}, {}),
    (ErrorCode.WRONG_IDENTITY, Role.SERVER, {}, {"target_identities": frozenset({"prod/other"})}),
]


@pytest.mark.req("HS-4", "CRED-4", "POLICY-2", "POLICY-3", "REVOKE-1", "REVOKE-6", "TRUST-2", "TRUST-3")
@pytest.mark.parametrize(("expected", "side", "client", "server"), REFUSALS)
def test_refusals(expected: ErrorCode, side: Role, client: dict[str, Any], server: dict[str, Any]) -> None:
    pair = Pair(client=dict(client), server=dict(server))
    by_role = dict(zip((Role.CLIENT, Role.SERVER), pair.handshake(), strict=True))
    refuser, other = by_role[side], by_role[Role.SERVER if side is Role.CLIENT else Role.CLIENT]
    assert code(refuser) is expected
    assert failure(refuser).state == ("WAIT_SERVER_INIT" if side is Role.CLIENT else "WAIT_CLIENT_INIT")
    assert code(other) is ErrorCode.PEER_ALERT
    assert failure(other).alert_code == expected
    assert pair.client.state == pair.server.state == "FAILED"


@pytest.mark.req("TRUST-3", "REVOKE-5", "ISSUE-5", "ISSUE-6")
def test_a_human_may_be_a_client_and_a_machine_either() -> None:
    pair = Pair(client={"credential": user}, server={"credential": lambda realm: realm.machine("machine/two")})
    _, server = map(completed, pair.handshake())
    assert server.peer.category is Category.HUMAN
    assert server.peer.revocation_ids[0] == server.peer.revocation_ids[1]
    assert server.peer.not_after == NOW + 72000


WIRE = [symbol for symbol in Input if symbol not in (Input.START, Input.SEND, Input.CLOSE)]


def reach(role: Role, state: State) -> tuple[Pair, Connection]:
    """Bring a connection of `role` into `state` by legal steps."""
    pair = Pair()
    end = pair.client if role is Role.CLIENT else pair.server
    if state in (State.START, State.WAIT_CLIENT_INIT):
        return pair, end
    if state is State.OPEN:
        return open_pair(), end
    pair.client.start()
    if state is State.CLOSED:
        end.close()
    elif state is State.FAILED:
        end.receive_end()
    elif state is State.WAIT_CLIENT_FINISHED:
        pair.server.receive_data(pair.client.data_to_send())
    elif state is State.WAIT_SERVER_FINISHED:
        pair.server.receive_data(pair.client.data_to_send())
        flight = pair.server.data_to_send()
        size = 4 + int.from_bytes(flight[:4], "little")
        pair.client.receive_data(flight[:size])
    end.data_to_send()
    return pair, end


@pytest.mark.req("HS-2", "HS-9")
@pytest.mark.parametrize(("role", "state"), [(role, state) for role in Role for state in STATES[role]])
@pytest.mark.parametrize("symbol", WIRE)
def test_an_input_without_a_row_fails_with_an_alert_before_open(role: Role, state: State, symbol: Input) -> None:
    if (role, state, symbol) in TABLE:
        return  # legal: judged elsewhere
    pair, end = reach(role, state)
    if state is State.OPEN:
        end = pair.client if role is Role.CLIENT else pair.server
    assert end.state is state
    events = end.receive_end() if symbol is Input.END else end.receive_data(frame(FRAME.get(symbol, 77), b"\0" * 16))
    sent = end.data_to_send()
    if state in (State.CLOSED, State.FAILED):
        assert (events, sent, end.state) == ([], b"", state)
        return
    expected = ErrorCode.TRUNCATED if symbol is Input.END else ErrorCode.UNEXPECTED_MESSAGE
    assert code(events) is expected
    assert failure(events).state == state
    assert failure(events).requirements
    alert = frame(31, messages.Alert(code=expected).SerializeToString())
    assert sent == (b"" if symbol is Input.END or state is State.OPEN else alert)
    assert end.state is State.FAILED


@pytest.mark.req("HS-2")
def test_the_table_is_deterministic_and_every_state_is_reached() -> None:
    assert len(TABLE) == len(TRANSITIONS)
    for role in Role:
        reached = {STATES[role][0]}
        for _ in TRANSITIONS:
            reached |= {row.next_state for row in TRANSITIONS if row.role is role and row.state in reached}
        assert reached == set(STATES[role])
        for state in (State.CLOSED, State.FAILED):
            assert not any(row.role is role and row.state is state for row in TRANSITIONS)


@pytest.mark.req("TRUST-8")
def test_misuse_raises_and_changes_nothing() -> None:
    pair = Pair()
    with pytest.raises(UsageError):
        pair.server.start()
    pair.client.start()
    with pytest.raises(UsageError):
        pair.client.start()
    assert (pair.client.state, pair.server.state) == ("WAIT_SERVER_INIT", "WAIT_CLIENT_INIT")
    pair.client.close()
    pair.client.close()
    with pytest.raises(UsageError):
        pair.client.start()
    assert pair.client.state == "CLOSED"


@pytest.mark.req("HS-7", "HS-9")
def test_a_handshake_out_of_time_fails_with_an_alert() -> None:
    pair = Pair()
    pair.client.start()
    assert code(pair.client.expire()) is ErrorCode.HANDSHAKE_TIMEOUT
    assert pair.client.data_to_send().endswith(frame(31, b"\x08\x17"))
    done = open_pair()
    assert done.server.expire() == []


@pytest.mark.req("HS-5")
def test_no_secret_is_in_a_repr_and_the_key_log_is_opt_in() -> None:
    pair = Pair()
    seen: list[Secrets] = []
    pair.environment = dataclasses.replace(pair.environment, key_log=lambda th, secrets: seen.append(secrets))
    pair.client = pair._connection(Role.CLIENT, CLIENT, {})
    events = pair.handshake()
    assert len(seen) == 1
    text = repr((seen, events, pair.client.result, pair.environment, vars(pair.client), vars(pair.client._handshake)))
    for secret in (seen[0].record, seen[0].resumption, seen[0].authenticator):
        assert repr(secret)[2:-1] not in text
        assert secret.hex() not in text


@pytest.mark.req("TRUST-1")
def test_a_hook_that_raises_fails_the_handshake_and_is_heard() -> None:
    def broken(realm: Realm) -> Trust:
        def is_revoked(revocation_id: int) -> bool:
            raise OSError(f"disk lost, asked about {revocation_id}")

        return dataclasses.replace(realm.trust(), is_revoked=is_revoked)

    pair = Pair(server={"trust": broken})
    pair.client.start()
    with pytest.raises(OSError, match="disk lost"):
        pair.server.receive_data(pair.client.data_to_send())
    assert pair.server.state == "FAILED"
    assert failure(pair.client.receive_data(pair.server.data_to_send())).alert_code == ErrorCode.INTERNAL_ERROR


@pytest.mark.req("HS-5")
def test_a_violation_keeps_no_frame_alive() -> None:
    pair = Pair(client={"target_identities": frozenset({"prod/other"})})
    client, _ = pair.handshake()
    assert failure(client).__traceback__ is None
    assert failure(client).__context__ is None


@pytest.mark.req("HS-2")
@pytest.mark.parametrize("body", [b"", b"\x08\x00", b"\x08\x85\x00", b"\x12\x00", b"\xff"])
def test_a_malformed_alert_is_refused_and_not_answered(body: bytes) -> None:
    pair = Pair()
    assert code(pair.server.receive_data(frame(31, body))) is ErrorCode.DECODE_ERROR
    assert pair.server.data_to_send() == b""
    assert pair.server.state == "FAILED"
