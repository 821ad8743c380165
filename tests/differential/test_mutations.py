"""Every single-field mutation of every message and certificate: model and implementation react alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_model.codec import frame
from alts_schema import certificate_pb2, handshake_pb2
from alts_vectors._wire import put
from alts_vectors._world import HUMAN, MACHINE, WORKLOAD, Chain
from alts_vectors.target import RoleName
from tests.differential.lockstep import CLIENT, HONEST, SERVER, WORLD, Conversation, end_in, split_flight
from tests.differential.mutations import Embedded, Mutation, mutations
from tests.differential.wire import Shape, shape_of

CERTIFICATE = shape_of(certificate_pb2.HandshakeCertificate.DESCRIPTOR)
BODY = shape_of(certificate_pb2.HandshakeCertificateBody.DESCRIPTOR)
MASTER = shape_of(certificate_pb2.MasterCertificate.DESCRIPTOR)
MASTER_BODY = shape_of(certificate_pb2.MasterCertificateBody.DESCRIPTOR)
CERTIFICATES: Embedded = {
    ("ClientInit", "certificate"): CERTIFICATE,
    ("ServerInit", "certificate"): CERTIFICATE,
    ("HandshakeCertificate", "body"): BODY,
    ("HandshakeCertificate", "master"): MASTER,
    ("MasterCertificate", "body"): MASTER_BODY,
}
MESSAGES: dict[str, tuple[Shape, RoleName, str, bytes]] = {
    "client_init": (shape_of(handshake_pb2.ClientInit.DESCRIPTOR), "server", "WAIT_CLIENT_INIT", HONEST.client_init),
    "server_init": (shape_of(handshake_pb2.ServerInit.DESCRIPTOR), "client", "WAIT_SERVER_INIT", HONEST.server_init),
    "server_finished": (
        shape_of(handshake_pb2.ServerFinished.DESCRIPTOR),
        "client",
        "WAIT_SERVER_FINISHED",
        HONEST.server_finished,
    ),
    "client_finished": (
        shape_of(handshake_pb2.ClientFinished.DESCRIPTOR),
        "server",
        "WAIT_CLIENT_FINISHED",
        HONEST.client_finished,
    ),
}
ALERT = shape_of(handshake_pb2.Alert.DESCRIPTOR)
WAITING: list[tuple[RoleName, str]] = [
    ("client", "WAIT_SERVER_INIT"),
    ("client", "WAIT_SERVER_FINISHED"),
    ("server", "WAIT_CLIENT_INIT"),
    ("server", "WAIT_CLIENT_FINISHED"),
]


def outcome(role: RoleName, state: str, symbol: str, payload: bytes) -> str:
    """What both made of the payload; whatever they answer, both learn the end of the stream afterwards."""
    end = end_in(role, state)
    _, events = end.receive(frame(symbol, payload))
    end.end()
    return next((event[2] for event in events if event[0] == "failed"), "accepted")


def try_all(
    found: list[Mutation], attempt: Callable[[bytes], str], name: str, capsys: pytest.CaptureFixture[str]
) -> Counter[str]:
    """Every mutation; the first difference is raised with its label. Prints the counts."""
    outcomes: Counter[str] = Counter()
    for label, data in found:
        try:
            outcomes[attempt(data)] += 1
        except AssertionError as error:
            raise AssertionError(f"{label}: {error}") from error
    with capsys.disabled():
        print(f"\n{name}: {len(found)} mutations: {dict(outcomes.most_common())}", end="")
    return outcomes


@pytest.mark.req("HS-2", "HS-3", "HS-6", "HS-7", "HS-9", "TRUST-8", "CRED-1", "CRED-2")
@pytest.mark.parametrize("symbol", MESSAGES)
def test_every_mutation_of_a_message_ends_alike(symbol: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Certificates are taken apart too; their signatures are not made again, so that few of those get far."""
    shape, role, state, whole = MESSAGES[symbol]
    found = list(mutations(whole[8:], shape, CERTIFICATES))
    outcomes = try_all(found, lambda data: outcome(role, state, symbol, data), symbol, capsys)
    assert outcome(role, state, symbol, whole[8:]) == "accepted"
    if symbol.endswith("finished"):
        assert set(outcomes) == {"DECODE_ERROR", "ILLEGAL_PARAMETER", "BAD_FINISHED", "BAD_TICKET_AUTHENTICATOR"}
        assert len(found) > 120
    else:
        expected = {"DECODE_ERROR", "UNSUPPORTED_VERSION", "ILLEGAL_PARAMETER", "BAD_CERTIFICATE", "BAD_SIGNATURE"}
        assert expected < set(outcomes)
        assert len(found) > 1200


@pytest.mark.req("HS-2")
@pytest.mark.parametrize(("role", "state"), WAITING)
def test_every_mutation_of_an_alert_ends_alike(role: RoleName, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = list(mutations(b"\x08\x05", ALERT, {}))
    outcomes = try_all(found, lambda data: outcome(role, state, "alert", data), f"alert in {state}", capsys)
    assert set(outcomes) == {"DECODE_ERROR", "PEER_ALERT"}


LAYERS: dict[str, tuple[str, Shape]] = {
    "certificate": ("patch_certificate", CERTIFICATE),
    "body": ("patch_body", BODY),
    "master": ("patch_master", MASTER),
    "master body": ("patch_master_body", MASTER_BODY),
}


def layer_bytes(chain: Chain, patch: str) -> bytes:
    """The honest bytes at a layer."""
    seen: list[bytes] = []

    def spy(data: bytes) -> bytes:
        seen.append(data)
        return data

    chain.but_patched(patch, spy).build()
    return seen[0]


@pytest.mark.req("CRED-1", "CRED-2", "CRED-4", "TRUST-1", "TRUST-3", "REVOKE-1", "REVOKE-5", "POLICY-3")
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("role", "category"),
    [("client", WORKLOAD), ("server", WORKLOAD), ("client", MACHINE), ("server", HUMAN)],
    ids=["workload-server", "workload-client", "machine-server", "human-client"],
)
def test_every_mutation_of_a_certificate_that_is_signed_again_ends_alike(
    role: RoleName, category: int, layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is above the mutated layer is signed over the mutation: only the rules of form and trust can refuse it."""
    patch, shape = LAYERS[layer]
    chain = WORLD.chain("test/frontend" if role == "server" else "test/backend", category, number=2)
    found = list(mutations(layer_bytes(chain, patch), shape, {}))
    symbol = "client_init" if role == "server" else "server_init"
    whole = MESSAGES[symbol][3][8:]
    number = 3 if symbol == "client_init" else 4
    state = MESSAGES[symbol][2]

    def attempt(data: bytes) -> str:
        certificate = chain.but_patched(patch, lambda _: data).build()
        return outcome(role, state, symbol, put(whole, number, certificate))

    outcomes = try_all(found, attempt, f"{layer} of category {category} at the {role}", capsys)
    assert "BAD_CERTIFICATE" in outcomes
    expected = {
        "body": {"accepted", "BAD_KEY_SHARE"},
        "master body": {"accepted", "UNKNOWN_AUTHORITY", "POLICY_DENIED", "BAD_SIGNATURE"},
    }
    if category == HUMAN:  # nothing in a human's master can change without the handshake certificate
        expected["master body"].remove("accepted")
    assert expected.get(layer, set()) <= set(outcomes)


def _pool() -> list[tuple[str, bytes]]:
    return [
        (symbol, data)
        for symbol, entry in MESSAGES.items()
        for _, data in mutations(entry[3][8:], entry[0], CERTIFICATES)
    ]


POOL = _pool()


@pytest.mark.req("HS-2", "REC-2")
@settings(max_examples=250)
@given(st.data())
def test_raw_changes_on_top_of_field_mutations_end_alike(data: st.DataObject) -> None:
    """Two faults at once, at any state of any role, in any segmentation."""
    role, state = data.draw(st.sampled_from([*WAITING, ("client", "OPEN"), ("server", "OPEN"), ("client", "START")]))
    symbol, payload = data.draw(st.sampled_from(POOL))
    at = data.draw(st.integers(0, max(0, len(payload) - 1)))
    end_at = data.draw(st.integers(at, min(len(payload), at + 9)))
    changed = payload[:at] + data.draw(st.binary(max_size=9)) + payload[end_at:]
    wire = frame(data.draw(st.sampled_from([symbol, symbol, *MESSAGES, "alert", "data"])), changed)
    end = end_in(role, state)
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        end.receive(wire[:size])
        wire = wire[size:]
    end.end()


@pytest.mark.req("HS-4", "HS-6", "HS-8", "HS-9")
@settings(max_examples=150)
@given(st.sampled_from([entry for entry in POOL if entry[0] in ("client_init", "server_init")]))
def test_a_mutation_in_the_middle_never_completes_a_handshake(entry: tuple[str, bytes]) -> None:
    """Whatever an attacker changes in an Init, the two honest ends do not both complete, whoever they are."""
    symbol, payload = entry
    talk = Conversation(CLIENT, SERVER)
    first = talk.client.start()
    flight, _ = talk.server.receive(frame("client_init", payload) if symbol == "client_init" else first)
    if symbol == "server_init" and talk.server.state != "FAILED":
        flight = frame("server_init", payload) + split_flight(flight)[1]
    finished, _ = talk.client.receive(flight)
    talk.server.receive(finished)
    assert talk.client.state == "FAILED"
    assert talk.server.state == "FAILED"
