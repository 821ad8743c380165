"""Judges of the vectors of issuance and of the handshaker service; see `_verify`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alts_model.issuance import PROOF_LABEL, enrolment_binding
from alts_model.primitives import ed25519_public, ed25519_verify, sha256

from . import _settings, _wire
from ._files import Json
from ._handshaker import offered
from ._verify import Mismatch, _hex, _same
from .target import ImplementationUnderTest, KeyAnswer, MasterRequest, RevocationStep, RotationStep


def _key_request(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, result = case["input"], case["result"]
    binding = bytes.fromhex(given["binding"]) if given["binding"] else None
    found = target.key_request(
        _hex(case, "input", "request"), _hex(case, "input", "proof"), given["requester"], binding
    )
    if result["verdict"] == "invalid":
        _same("status", result["status"], found.status)
        return
    wanted = KeyAnswer(
        "OK",
        result["category"],
        result["identity"],
        bytes.fromhex(result["publicKey"]),
        tuple(result["handshakeCiphers"]),
        tuple(result["workloadIdentities"]),
    )
    _same("key request", wanted, found)
    _proven(given, wanted.public_key)


def _proven(given: Mapping[str, Any], public_key: bytes) -> None:
    request, proof = (bytes.fromhex(given[name]) for name in ("request", "proof"))
    if not ed25519_verify(public_key, PROOF_LABEL.encode() + b"\x00" + request, proof):
        raise Mismatch("the proof is none")


def _asked(data: Json) -> MasterRequest:
    return MasterRequest(
        bytes.fromhex(data["request"]),
        bytes.fromhex(data["proof"]),
        data["notBefore"],
        data["notAfter"],
        int(data["revocationId"], 16),
    )


def _signed_master(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, result = case["input"], case["result"]
    before = [_asked(one) for one in given["before"]]
    seed = _hex(case, "input", "signingSeed")
    answers = target.sign_masters(seed, [*before, _asked(given["asked"])], given["requester"])
    _same("status before", ["OK"] * len(before), [answer.status for answer in answers[:-1]])
    last = answers[-1]
    if result["verdict"] == "invalid":
        _same("status", (result["status"], b""), (last.status, last.certificate))
        return
    certificate = _hex(case, "result", "certificate")
    _same("certificate", ("OK", certificate), (last.status, last.certificate))
    body, signature = (_hex(case, "intermediate", name) for name in ("body", "signature"))
    _same("parts of the certificate", _wire.join([(1, 2, body), (2, 2, signature)]), certificate)
    if not ed25519_verify(ed25519_public(seed), b"openalts v1 master certificate\x00" + body, signature):
        raise Mismatch("the signature is wrong")
    _same("issuer", given["requester"].encode(), _wire.get(body, 4))


def _answered_master(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, result = case["input"], case["result"]
    certificate = _hex(case, "input", "certificate")
    status, digest = target.answered_master(_asked(given["asked"]), given["requester"], certificate)
    if result["verdict"] == "invalid":
        _same("status", (result["status"], b""), (status, digest))
        return
    _same("digest", ("OK", _hex(case, "result", "digest")), (status, digest))
    _same("digest of the certificate", sha256(certificate), digest)


def _mapping_report(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, result = case["input"], case["result"]
    steps = [
        RevocationStep(step["caller"], step["action"], int(step["number"]), bytes.fromhex(step["digest"]))
        for step in given["steps"]
    ]
    answers, mappings = target.revocation_ids(tuple(given["issuers"]), steps)
    expected = [(step["status"], int(step["first"]) if step["first"] else None) for step in result["steps"]]
    _same("answers", expected, list(answers))
    wanted = {int(one["revocationId"], 16): bytes.fromhex(one["digest"]) for one in result["mappings"]}
    _same("number of mappings", len(result["mappings"]), len(wanted))
    _same("mappings", wanted, dict(mappings))


def _rotation(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, result = case["input"], case["result"]
    steps = [
        RotationStep(given["start"] + step["at"], step["action"], step["workload"], step["identity"])
        for step in given["steps"]
    ]
    answers = target.rotation(tuple(given["patterns"]), steps)
    _same("number of answers", len(result["steps"]), len(answers))
    certificates: dict[int, tuple[str, int]] = {}
    for number, (wanted, found) in enumerate(zip(result["steps"], answers, strict=True)):
        _same(f"step {number}: status", wanted["status"], found.status)
        _same(f"step {number}: base masters", wanted["bases"], found.bases)
        running = [
            (one["workload"], one["identity"], one["notBefore"], one["notAfter"], tuple(map(int, one["epochs"])))
            for one in wanted["running"]
        ]
        _same(
            f"step {number}: running",
            running,
            [(one.workload, one.identity, one.not_before, one.not_after, one.epochs) for one in found.running],
        )
        for one in found.running:
            name = one.workload, one.not_before
            if certificates.setdefault(one.revocation_id, name) != name:
                raise Mismatch(f"step {number}: two certificates have the ID {one.revocation_id:016x}")


def _enrolment(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    names = ("token", "tokenId", "nonce", "request", "proof", "certificate")
    token, token_id, nonce, request, proof, certificate = (_hex(case, "input", name) for name in names)
    found = target.enrolment(token, token_id, nonce, request, proof, certificate)
    wanted = tuple(_hex(case, "result", name) for name in ("binding", "requestMac", "responseMac"))
    _same("binding and MACs", wanted, found)
    _same("binding", enrolment_binding(token_id, nonce), wanted[0])
    _same("binding in the request", _wire.get(request, 9), wanted[0])
    _proven(case["input"], _wire.get(request, 6))


def _handshaker_start(case: Json, target: ImplementationUnderTest, document: Json) -> None:
    given, result = case["input"], case["result"]
    settings = _settings.from_json(document["endpoints"][given["endpoint"]])
    status, frames = target.handshaker_start(settings, _hex(case, "input", "request"))
    if result["verdict"] == "invalid":
        _same("status", (result["status"], b""), (status, frames))
        return
    _same("outFrames", ("OK", _hex(case, "result", "outFrames")), (status, frames))
    init = frames[8 : 4 + int.from_bytes(frames[:4], "little")]
    _same("init", _hex(case, "intermediate", "init"), init)
    lists = {name: value for name, value in result.items() if name not in ("verdict", "outFrames")}
    _same("what is offered", lists, offered(init, given["endpoint"]))


JUDGES: dict[str, Callable[[Json, ImplementationUnderTest, Json], None]] = {
    "key_request": _key_request,
    "key_request_invalid": _key_request,
    "signed_master": _signed_master,
    "signed_master_invalid": _signed_master,
    "answered_master": _answered_master,
    "answered_master_invalid": _answered_master,
    "mapping_report": _mapping_report,
    "rotation": _rotation,
    "enrolment": _enrolment,
    "handshaker_start": _handshaker_start,
    "handshaker_start_invalid": _handshaker_start,
}
"""Group type to judge."""
