"""The Signing Service: names the requester, insists on proof of possession, gives one answer to one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from alts import Category, PeerViolation
from alts.services import RequestRefused, SigningCore, Status, check_proof, parse_master, prove
from alts.services._proofs import PROOF_CONTEXT
from alts_schema.issuance_pb2 import KeyRequest, ProvenKey, SignMasterRequest
from tests.impl.services_world import BINDING, NOW, World

if TYPE_CHECKING:
    from pathlib import Path

MACHINE_ID = Category.MACHINE << 56 | 7
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def proven(**changes: Any) -> ProvenKey:
    options: dict[str, Any] = {
        "category": Category.MACHINE,
        "identity": "machines/a",
        "requester": "realm/ca",
        "binding": BINDING,
    }
    return prove(KEY, **(options | changes))


def request(key: ProvenKey | None = None, **changes: Any) -> SignMasterRequest:
    options: dict[str, Any] = {"not_before": NOW, "not_after": NOW + 1000, "revocation_id": MACHINE_ID}
    return SignMasterRequest(key=key or proven(), **(options | changes))


@pytest.mark.req("ISSUE-1", "ISSUE-2", "ISSUE-3", "CRED-1")
def test_the_requester_is_the_issuer() -> None:
    core = World().signing
    certificate = core.sign(request(), "realm/ca").certificate
    body = parse_master(certificate)
    assert (body.issuer, body.identity, body.revocation_id) == ("realm/ca", "machines/a", MACHINE_ID)
    assert body.public_key == KEY.public_key().public_bytes_raw()
    assert list(core.issued()) == [(certificate, "realm/ca")]


@pytest.mark.req("ISSUE-2", "POLICY-2")
def test_what_is_allowed_is_not_its_business() -> None:
    key = proven(category=Category.HUMAN, identity="corp/network-admin", requester="corp/mallory")
    human = request(key, not_after=NOW + 72000, revocation_id=Category.HUMAN << 56 | 1)
    assert parse_master(World().signing.sign(human, "corp/mallory").certificate).issuer == "corp/mallory"


@pytest.mark.req("ISSUE-1", "ISSUE-2")
def test_nobody_has_anothers_key_certified() -> None:
    core = World().signing
    with pytest.raises(RequestRefused, match="names another requester") as caught:
        core.sign(request(), "corp/mallory")
    assert caught.value.status is Status.UNAUTHENTICATED
    stolen = KeyRequest.FromString(proven().request)
    stolen.requester = "corp/mallory"
    forged = ProvenKey(request=stolen.SerializeToString(deterministic=True), proof=proven().proof)
    with pytest.raises(RequestRefused, match="signature is wrong"):
        core.sign(request(forged), "corp/mallory")
    assert not list(core.issued())


@pytest.mark.req("ISSUE-1")
def test_a_proof_is_good_for_one_certificate_and_for_that_one_always() -> None:
    core = World().signing
    first = core.sign(request(), "realm/ca")
    assert core.sign(request(), "realm/ca") == first
    for other in (request(revocation_id=MACHINE_ID + 1), request(not_after=NOW + 2000)):
        with pytest.raises(RequestRefused) as caught:
            core.sign(other, "realm/ca")
        assert caught.value.status is Status.ALREADY_EXISTS
    assert len(list(core.issued())) == 1


@pytest.mark.req("ISSUE-1")
@pytest.mark.parametrize("more", ["7801", "7802", "7a0100", "1a00"])
def test_a_proof_with_something_beside_it_is_no_other_proof(more: str) -> None:
    core = World().signing
    core.sign(request(), "realm/ca")
    key = ProvenKey.FromString(proven().SerializeToString() + bytes.fromhex(more))
    raw = request(key, revocation_id=MACHINE_ID + 1).SerializeToString()
    for asked in (SignMasterRequest.FromString(raw), request(key)):
        with pytest.raises(RequestRefused, match="more came with it") as caught:
            core.sign(asked, "realm/ca")
        assert caught.value.status is Status.INVALID_ARGUMENT
    assert len(list(core.issued())) == 1


@pytest.mark.req("ISSUE-1")
def test_who_gets_a_proof_refuses_what_came_with_it_and_so_never_keeps_it() -> None:
    key = ProvenKey.FromString(proven().SerializeToString() + b"\x7a\xff\x7f" + bytes(0x3FFF))
    with pytest.raises(RequestRefused, match="more came with it"):
        check_proof(key, requester="realm/ca", binding=BINDING)


@pytest.mark.req("ISSUE-1")
def test_a_proof_belongs_to_a_connection() -> None:
    assert check_proof(proven(), requester="realm/ca", binding=BINDING).identity == "machines/a"
    with pytest.raises(RequestRefused, match="another connection"):
        check_proof(proven(), requester="realm/ca", binding=bytes(32))


@pytest.mark.req("ISSUE-1", "CRED-1")
@pytest.mark.parametrize(
    "wrong",
    [
        request(not_before=NOW + 2000),
        request(revocation_id=Category.HUMAN << 56 | 7),
        request(revocation_id=7),
        request(proven(category=Category.WORKLOAD)),
        request(proven(workload_identities=("prod/**",))),
        request(proven(identity="a//b")),
        request(proven(handshake_ciphers=())),
        request(proven(handshake_ciphers=("X", "X"))),
        request(proven(category=Category.HUMAN), revocation_id=Category.HUMAN << 56 | 1, not_after=0),
        request(proven(binding=b"short")),
        request(ProvenKey()),
        SignMasterRequest(),
    ],
)
def test_what_no_verifier_could_accept_is_not_signed(wrong: SignMasterRequest) -> None:
    core = World().signing
    with pytest.raises(RequestRefused) as caught:
        core.sign(wrong, "realm/ca")
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert not list(core.issued())


@pytest.mark.req("ISSUE-1")
@given(st.data())
def test_every_changed_bit_of_a_proven_key_is_refused(data: st.DataObject) -> None:
    key = proven()
    name = data.draw(st.sampled_from(["request", "proof"]))
    raw = bytearray(getattr(key, name))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = ProvenKey()
    changed.CopyFrom(key)
    setattr(changed, name, bytes(raw))
    with pytest.raises(RequestRefused):
        check_proof(changed, requester="realm/ca", binding=BINDING)


@pytest.mark.req("ISSUE-1")
@given(st.binary(max_size=200), st.binary(max_size=70))
def test_garbage_is_refused(raw: bytes, proof: bytes) -> None:
    with pytest.raises(RequestRefused):
        check_proof(ProvenKey(request=raw, proof=proof), requester="realm/ca")


@pytest.mark.req("ISSUE-1")
def test_a_signature_for_another_purpose_is_no_proof() -> None:
    key = proven()
    assert key.proof == KEY.sign(PROOF_CONTEXT + key.request)
    for context in (b"", PROOF_CONTEXT[:-1], b"openalts v1 master certificate\x00"):
        with pytest.raises(RequestRefused, match="signature"):
            check_proof(ProvenKey(request=key.request, proof=KEY.sign(context + key.request)), requester="realm/ca")


@pytest.mark.req("CRED-4", "ISSUE-2")
def test_the_root_key_and_what_was_signed_are_still_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "signing.sqlite"
    world = World()
    core = SigningCore(path, world.clock, world.random)
    certificate, key = core.sign(request(), "realm/ca").certificate, core.verification_key
    core.close()
    again = SigningCore(path, world.clock, world.random)
    assert again.verification_key == key
    assert list(again.issued()) == [(certificate, "realm/ca")]
    with pytest.raises(RequestRefused):
        again.sign(request(not_after=NOW + 2000), "realm/ca")
    again.close()


def test_a_parsed_master_is_checked() -> None:
    with pytest.raises(PeerViolation):
        parse_master(b"")
