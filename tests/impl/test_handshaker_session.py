"""One stream of the handshaker service, without gRPC: requests in any order and cut (SPEC 9)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts import ErrorCode
from alts.handshaker import HandshakerSession, Identities, RequestError, Status
from alts_schema import handshaker_pb2 as wire
from tests.impl.handshaker_stacks import CLIENT, SERVER, Bench, account, client_start, following, server_start

BENCH = Bench()


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut `data` at these places, taken modulo its length."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


def feed(session: HandshakerSession, data: bytes, cuts: list[int]) -> tuple[bytes, wire.HandshakerResp, int]:
    """Feed `data` in pieces until the session is finished: bytes for the peer, last response, bytes consumed."""
    out, consumed = b"", 0
    response = wire.HandshakerResp()
    for piece in pieces(data, cuts):
        response = session.receive(following(piece))
        assert response.HasField("status")
        out += response.out_frames
        consumed += response.bytes_consumed
        if session.finished:
            break
        assert response.bytes_consumed == len(piece)
    return out, response, consumed


@pytest.mark.req("TRUST-6", "HS-8", "HS-9", "TRUST-5")
@given(st.lists(st.integers(0, 5000), max_size=6), st.lists(st.integers(0, 5000), max_size=6), st.binary(max_size=60))
def test_any_segmentation_gives_one_key_and_leaves_records_alone(
    client_cuts: list[int], server_cuts: list[int], records: bytes
) -> None:
    client, server = BENCH.session(), BENCH.session()
    client_init = client.receive(client_start())
    assert client_init.status.code == 0
    assert client_init.bytes_consumed == 0
    first = server.receive(server_start())
    assert not first.out_frames
    server_flight, _, _ = feed(server, client_init.out_frames, server_cuts)
    client_flight, at_client, consumed = feed(client, server_flight, client_cuts)
    assert consumed == len(server_flight)
    # records come in the same segment as the end of ClientFinished
    segments = pieces(client_flight, server_cuts)
    for piece in segments[:-1]:
        assert not server.receive(following(piece)).HasField("result")
    at_server = server.receive(following(segments[-1] + records))
    assert at_server.bytes_consumed == len(segments[-1])
    assert client.finished
    assert server.finished
    assert client.violation is server.violation is None
    for result, peer, local in ((at_client.result, SERVER, CLIENT), (at_server.result, CLIENT, SERVER)):
        assert result.peer_identity.service_account == peer
        assert result.local_identity.service_account == local
        assert result.application_protocol == "grpc"
        assert result.record_protocol == "ALTSRP_GCM_AES128_REKEY"
        assert result.max_frame_size == 1048576
        version = result.peer_rpc_versions.max_rpc_version
        assert (version.major, version.minor) == (2, 1)
    assert len(at_client.result.key_data) == 128
    assert at_client.result.key_data == at_server.result.key_data
    for session in (client, server):
        with pytest.raises(RequestError) as caught:
            session.receive(following(b""))
        assert caught.value.status is Status.FAILED_PRECONDITION


def test_server_start_may_bring_the_first_bytes() -> None:
    client, server = BENCH.session(), BENCH.session()
    client_init = client.receive(client_start()).out_frames
    response = server.receive(server_start(client_init))
    assert response.bytes_consumed == len(client_init)
    assert response.out_frames


@pytest.mark.req("HS-2")
def test_byte_by_byte() -> None:
    client, server = BENCH.session(), BENCH.session()
    client_init = client.receive(client_start()).out_frames
    server.receive(server_start())
    flight, _, _ = feed(server, client_init, list(range(len(client_init))))
    finished, last, _ = feed(client, flight, list(range(len(flight))))
    assert last.HasField("result")
    assert feed(server, finished, list(range(len(finished))))[1].HasField("result")


_REQUESTS = st.one_of(
    st.builds(client_start),
    st.builds(server_start),
    st.builds(server_start, st.just(BENCH.session().receive(client_start()).out_frames)),
    st.builds(following, st.binary(max_size=40)),
    st.just(wire.HandshakerReq()),
    st.just(wire.HandshakerReq(client_start=wire.StartClientHandshakeReq())),
    st.just(wire.HandshakerReq(server_start=wire.StartServerHandshakeReq())),
    st.binary(max_size=40),
    st.builds(client_start, application_protocols=st.lists(st.text(max_size=70), max_size=18)),
    st.builds(client_start, record_protocols=st.lists(st.text(max_size=70), max_size=18)),
    st.builds(client_start, max_frame_size=st.integers(0, 2**32 - 1)),
    st.builds(client_start, target_identities=st.lists(st.builds(account, st.text(max_size=20)), max_size=3)),
    st.builds(client_start, local_identity=st.builds(account, st.text(max_size=300))),
    st.builds(server_start, local=st.lists(st.builds(account, st.text(max_size=20)), max_size=3)),
)


@pytest.mark.req("TRUST-6", "HS-2")
@settings(max_examples=300)
@given(st.lists(_REQUESTS, max_size=6))
def test_any_requests_in_any_order_end_in_an_answer_or_a_documented_error(
    requests: list[wire.HandshakerReq | bytes],
) -> None:
    session = BENCH.session()
    for request in requests:
        over = session.finished
        try:
            response = session.receive(request)
        except RequestError as error:
            refusal = error
        else:
            assert not over
            assert response.HasField("status")
            assert (response.status.code != 0) is (session.violation is not None)
            assert not response.HasField("result")
            continue
        assert refusal.status in (Status.INVALID_ARGUMENT, Status.FAILED_PRECONDITION)
        assert refusal.detail
        assert session.finished


@pytest.mark.req("HS-2")
@pytest.mark.parametrize(
    ("requests", "status", "text"),
    [
        ([following(b"x")], Status.FAILED_PRECONDITION, "next before a start"),
        ([client_start(), client_start()], Status.FAILED_PRECONDITION, "client_start after the start"),
        ([client_start(), server_start()], Status.FAILED_PRECONDITION, "server_start after the start"),
        ([wire.HandshakerReq()], Status.INVALID_ARGUMENT, "without client_start"),
        ([b"\xff\xff\xff"], Status.INVALID_ARGUMENT, "not a HandshakerReq"),
        ([client_start(handshake_security_protocol=wire.TLS)], Status.INVALID_ARGUMENT, "not ALTS"),
        ([client_start(handshake_security_protocol=77)], Status.INVALID_ARGUMENT, "not ALTS"),
        ([client_start(application_protocols=[])], Status.INVALID_ARGUMENT, "application_protocols"),
        ([client_start(application_protocols=["grpc", "grpc"])], Status.INVALID_ARGUMENT, "application_protocols"),
        ([client_start(record_protocols=["ALTSRP_NONE"])], Status.FAILED_PRECONDITION, "no record protocol"),
        ([client_start(record_protocols=["a"] * 2)], Status.INVALID_ARGUMENT, "record_protocols"),
        ([client_start(rpc_versions=wire.RpcProtocolVersions())], Status.INVALID_ARGUMENT, "rpc_versions"),
        ([client_start(local_identity=account("shop/nobody"))], Status.FAILED_PRECONDITION, "'shop/nobody'"),
        ([client_start(local_identity=wire.Identity(hostname="h"))], Status.FAILED_PRECONDITION, "local identity"),
        ([server_start(local=[account("shop/nobody")])], Status.FAILED_PRECONDITION, "'shop/nobody'"),
        ([server_start(handshake_parameters={})], Status.INVALID_ARGUMENT, "no entry for ALTS"),
        ([client_start(target_identities=[wire.Identity(hostname="h")])], Status.INVALID_ARGUMENT, "target identity"),
        ([client_start(target_identities=[wire.Identity()])], Status.INVALID_ARGUMENT, "target identity"),
        ([client_start(target_identities=[account("*")])], Status.INVALID_ARGUMENT, "target identity"),
    ],
)
def test_a_wrong_request_is_refused_with_a_clear_detail(
    requests: list[wire.HandshakerReq | bytes], status: Status, text: str
) -> None:
    session = BENCH.session()
    *before, last = requests
    for request in before:
        session.receive(request)
    with pytest.raises(RequestError) as caught:
        session.receive(last)
    assert caught.value.status is status
    assert text in caught.value.detail
    assert session.finished


@pytest.mark.req("TRUST-2", "TRUST-5")
def test_an_unmet_target_identity_is_refused_with_an_alert() -> None:
    client, server = BENCH.session(), BENCH.session()
    hello = client.receive(client_start(target_identities=[account("shop/other"), wire.Identity(hostname=SERVER)]))
    flight = server.receive(server_start(hello.out_frames)).out_frames
    refused = client.receive(following(flight))
    assert refused.status.code == Status.UNAUTHENTICATED
    assert refused.status.details.startswith("WRONG_IDENTITY ")
    assert not refused.HasField("result")
    assert client.finished
    assert client.violation is not None
    assert client.violation.code is ErrorCode.WRONG_IDENTITY
    # the alert tells the server, which sends none back
    told = server.receive(following(refused.out_frames))
    assert told.status.details.startswith("PEER_ALERT ")
    assert not told.out_frames
    assert server.finished


@pytest.mark.req("TRUST-2")
def test_a_met_target_identity_and_local_identities_are_honoured() -> None:
    client, server = BENCH.session(), BENCH.session()
    hello = client.receive(
        client_start(local_identity=account(SERVER), target_identities=[account("shop/other"), account(CLIENT)])
    )
    flight = server.receive(server_start(hello.out_frames, local=[account("shop/nobody"), account(CLIENT)]))
    done = client.receive(following(flight.out_frames))
    assert done.result.peer_identity.service_account == CLIENT
    assert done.result.local_identity.service_account == SERVER


def test_an_empty_local_identity_means_the_default() -> None:
    client, server = BENCH.session(), BENCH.session()
    hello = client.receive(client_start(local_identity=wire.Identity()))
    flight = server.receive(server_start(hello.out_frames, local=[]))
    assert client.receive(following(flight.out_frames)).result.peer_identity.service_account == CLIENT


@pytest.mark.req("REC-3")
@pytest.mark.parametrize(("asked", "given"), [(0, 1048576), (1, 16384), (20000, 20000), (2**32 - 1, 1048576)])
def test_frame_size_is_the_smaller_and_within_bounds(asked: int, given: int) -> None:
    client, server = BENCH.session(), BENCH.session()
    hello = client.receive(client_start(max_frame_size=asked))
    flight = server.receive(server_start(hello.out_frames))
    assert client.receive(following(flight.out_frames)).result.max_frame_size == given


@pytest.mark.req("REC-1")
def test_record_protocols_that_this_version_lacks_are_not_offered() -> None:
    client, server = BENCH.session(), BENCH.session()
    hello = client.receive(client_start(record_protocols=["ALTSRP_GCM_AES128", "ALTSRP_GCM_AES128_REKEY"]))
    assert b"ALTSRP_GCM_AES128_REKEY" in hello.out_frames
    assert b"ALTSRP_GCM_AES128:" not in hello.out_frames
    assert server.receive(server_start(hello.out_frames)).status.code == 0


@pytest.mark.req("POLICY-3", "REVOKE-6")
def test_a_revoked_client_is_refused_by_the_server() -> None:
    bench = Bench(7)
    bench.realm.revoked.add(bench.credentials[0].parsed.body.revocation_id)
    client, server = bench.session(), bench.session()
    refused = server.receive(server_start(client.receive(client_start()).out_frames))
    assert refused.status.details.startswith("CERTIFICATE_REVOKED ")
    assert refused.out_frames
    assert server.finished


@pytest.mark.req("HS-2")
@given(st.binary(min_size=8, max_size=200))
def test_garbage_from_the_peer_ends_in_a_violation_or_waits(garbage: bytes) -> None:
    for session, start in ((BENCH.session(), client_start()), (BENCH.session(), server_start())):
        session.receive(start)
        response = session.receive(following(garbage))
        assert response.bytes_consumed == len(garbage)
        assert session.finished is (response.status.code != 0)
        assert not response.HasField("result")


@pytest.mark.req("REC-3")
def test_bytes_and_requests_are_bounded() -> None:
    session = BENCH.session(max_in_bytes=10)
    session.receive(server_start(b"\x20"))
    with pytest.raises(RequestError) as caught:
        session.receive(following(bytes(10)))
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    session = BENCH.session(max_requests=2)
    session.receive(server_start())
    session.receive(following(b""))
    with pytest.raises(RequestError) as caught:
        session.receive(following(b""))
    assert caught.value.status is Status.RESOURCE_EXHAUSTED


def test_half_close_before_the_end_is_refused_and_after_it_is_not() -> None:
    session = BENCH.session()
    with pytest.raises(RequestError) as caught:
        session.receive_end()
    assert caught.value.status is Status.FAILED_PRECONDITION
    session.receive_end()


def test_a_failing_hook_passes_through_and_finishes_the_session() -> None:
    def broken() -> float:
        raise OSError("no clock")

    session = Bench(3, clock=broken).session()
    hello = BENCH.session().receive(client_start()).out_frames
    with pytest.raises(OSError, match="no clock"):
        session.receive(server_start(hello))
    assert session.finished


def test_of_two_credentials_with_one_identity_the_default_speaks() -> None:
    bench = Bench(5)
    newer = bench.realm.workload(CLIENT)
    identities = Identities.of(newer, bench.credentials, bench.realm.trust())
    assert identities.configurations[CLIENT].credential is newer
    assert set(identities.configurations) == {CLIENT, SERVER}
