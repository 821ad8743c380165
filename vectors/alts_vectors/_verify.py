"""Judges an implementation by the vectors: one report a case, nothing skipped.

What an implementation need not expose (PRK, infos, record keys and nonces) is checked for consistency with what it
does: RFC 5869 must lead from them to its M, R and A, and AES-GCM under them must give its frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alts_model.primitives import aes128_gcm_open, hkdf_expand, hkdf_extract, hmac_sha256, sha256

from . import _settings
from ._files import KINDS, Json
from .target import Completion, EndpointUnderTest, ImplementationUnderTest, RoleName, StepResult

SALT = b"openalts v1 handshake"
_ROLES: tuple[RoleName, RoleName] = ("client", "server")


class Mismatch(Exception):
    """The implementation and the vector differ; the text says where."""


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one case: `mismatch` is empty if the implementation agrees."""

    id: str
    mismatch: str = ""

    @property
    def passed(self) -> bool:
        """Whether the implementation agrees."""
        return not self.mismatch


def verify(documents: Mapping[str, Json], target: ImplementationUnderTest) -> Iterator[Report]:
    """One report for each case of each document, in order; an exception of the implementation is a mismatch too."""
    from . import _verify_more, _verify_services  # which are built on this module

    judges = {**_JUDGES, **_verify_more.JUDGES, **_verify_services.JUDGES}
    for kind in KINDS:
        if kind not in documents:
            continue
        document = documents[kind]
        for group in document["testGroups"]:
            judge = judges[group["type"]]
            for case in group["tests"]:
                try:
                    judge(case, target, document)
                except Mismatch as mismatch:
                    yield Report(case["id"], str(mismatch))
                except Exception as error:  # an implementation may raise anything: that is a finding, not our failure
                    yield Report(case["id"], f"{type(error).__name__}: {error}")
                else:
                    yield Report(case["id"])


def _same(what: str, expected: object, found: object) -> None:
    if expected != found:
        shown = [value.hex() if isinstance(value, bytes) else repr(value) for value in (expected, found)]
        short = [text if len(text) <= 100 else f"{text[:80]}… ({len(text)} characters)" for text in shown]
        raise Mismatch(f"{what}: expected {short[0]}, found {short[1]}")


def _hex(case: Json, part: str, name: str) -> bytes:
    return bytes.fromhex(case[part][name])


def _key_schedule(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, values, result = case["input"], case["intermediate"], case["result"]
    found = target.key_schedule(
        _hex(case, "input", "sharedSecret"),
        _hex(case, "input", "clientInit"),
        _hex(case, "input", "serverInit"),
        given["clientIdentity"],
        given["serverIdentity"],
    )
    _compare_schedule(result, found)
    _consistent_schedule(given["sharedSecret"], {**values, **result})


def _compare_schedule(expected: Mapping[str, Any], found: Mapping[str, bytes]) -> None:
    for name in ("transcriptHash", "M", "R", "A"):
        _same(name, bytes.fromhex(expected[name]), found[name])
    for role in _ROLES:
        for name in (f"{role}Authenticator", f"{role}TicketAuthenticator"):
            _same(name, bytes.fromhex(expected[name]), found[name])


_SCHEDULE = ("prk", "M", "recordInfo", "R", "resumptionInfo", "A", "authenticatorInfo")


def _consistent_schedule(shared_secret: str, values: Mapping[str, str]) -> None:
    """PRK and the infos lead to the secrets (RFC 5869); the infos hold the transcript hash."""
    raw = {name: bytes.fromhex(values[name]) for name in _SCHEDULE}
    _same("prk", raw["prk"], hkdf_extract(SALT, bytes.fromhex(shared_secret)))
    for secret, info, size in (("M", "recordInfo", 128), ("R", "resumptionInfo", 32), ("A", "authenticatorInfo", 32)):
        _same(f"{info} to {secret}", raw[secret], hkdf_expand(raw["prk"], raw[info], size))


def _ticket_authenticator(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    ticket = case["input"]["ticket"]
    parts = ticket and (
        bytes.fromhex(ticket["resumptionId"]),
        int(ticket["keyEpoch"]),
        ticket["lifetimeSeconds"],
        bytes.fromhex(ticket["ticket"]),
    )
    found = target.ticket_authenticator(_hex(case, "input", "A"), case["input"]["sender"], parts)
    _same("ticketAuthenticator", _hex(case, "result", "ticketAuthenticator"), found)


def _x25519(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    found = target.x25519(_hex(case, "input", "privateKey"), _hex(case, "input", "publicKey"))
    expected = _hex(case, "result", "sharedSecret") if case["result"]["verdict"] == "valid" else None
    _same("sharedSecret", expected, found)


def _certificate(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, result = case["input"], case["result"]
    # Settings of a whole endpoint; only the trust matters here.
    trust = _settings.from_json({**_IDLE_ENDPOINT, **given["verifier"]})
    verdict = target.certificate(_hex(case, "input", "certificate"), trust, given["peerRole"])
    _same("error", result.get("error"), verdict.error)
    if "certificateDigest" in case["intermediate"]:
        digest = _hex(case, "intermediate", "certificateDigest")
        _same("certificateDigest", digest, sha256(_hex(case, "input", "certificate")))
    if result["verdict"] == "valid":
        for name in ("identity", "category", "issuer", "boundary"):
            _same(name, result[name], getattr(verdict, name))
        ids = tuple(int(result["revocationIds"][name], 16) for name in ("handshake", "master"))
        _same("revocationIds", ids, verdict.revocation_ids)
        _same("notAfter", result["notAfter"], verdict.not_after)


_IDLE_ENDPOINT: Json = {
    "handshakeCertificate": "",
    "x25519PrivateKey": "",
    "nonce": "00" * 32,
    "handshakeCiphers": ["X25519_STATIC_SHA256"],
    "recordProtocols": ["ALTSRP_GCM_AES128_REKEY"],
    "applicationProtocols": ["grpc"],
    "rpcVersions": {"max": [2, 1], "min": [2, 1]},
    "maxFrameSize": 1048576,
}


def _refusal(case: Json, target: ImplementationUnderTest, document: Json) -> None:
    given = case["input"]
    refused(case, target.endpoint(given["role"], _settings.from_json(document["endpoints"][given["endpoint"]])))


def refused(case: Json, end: EndpointUnderTest) -> None:
    """The steps of a case, the last of which makes the end fail as the result says."""
    given, result = case["input"], case["result"]
    step: StepResult | None = None
    for number, expected in enumerate(given["steps"]):
        place = f"step {number} ({expected['action']})"
        if step is not None and step.failed is not None:
            raise Mismatch(f"{place}: failed before, with {step.failed.error}")
        step = _act(end, expected["action"], bytes.fromhex(expected["data"]))
        # What failed and how says more than the bytes of the alert.
        if step.failed is not None and number + 1 < len(given["steps"]):
            raise Mismatch(f"{place}: {step.failed.error} in {step.failed.state}")
        if number + 1 < len(given["steps"]) or step.failed is None:
            _same(f"{place}: state", expected["state"], step.state)
        if step.failed is not None:
            _same("error", (result["error"], result["code"]), (step.failed.error, step.failed.code))
            _same("state of the failure", result["state"], step.failed.state)
            _same("alertReceived", result["alertReceived"], step.failed.alert_code)
            _same("alertSent", result["alertSent"], step.output[-1] if step.output else None)
        _same(f"{place}: output", bytes.fromhex(expected["output"]), step.output)
        _same(f"{place}: payload", bytes.fromhex(expected["payload"]), step.payload)
        _same(f"{place}: state", expected["state"], step.state)
    if step is None or step.failed is None:
        raise Mismatch(f"accepted; expected {result['error']}")


def _act(end: EndpointUnderTest, action: str, data: bytes) -> StepResult:
    match action:
        case "start":
            return end.start()
        case "end":
            return end.end()
        case "send":
            return end.send(data)
        case _:
            return end.receive(data)


def _handshake(case: Json, target: ImplementationUnderTest, document: Json) -> None:
    given, values = case["input"], case["intermediate"]
    ends: dict[RoleName, Any] = {role: _settings.from_json(document["endpoints"][given[role]]) for role in _ROLES}
    for role in _ROLES:
        if given.get("only", role) == role:
            _play(case, role, target.endpoint(role, ends[role]))
    other = {"client": "server", "server": "client"}
    for role in _ROLES:
        public = case["intermediate"][f"{other[role]}PublicKey"]
        secret = target.x25519(ends[role].private_key, bytes.fromhex(public))
        _same("sharedSecret", _hex(case, "intermediate", "sharedSecret"), secret)
    inits = (_hex(case, "intermediate", "clientInit"), _hex(case, "intermediate", "serverInit"))
    names = (values["clientIdentity"], values["serverIdentity"])
    found = target.key_schedule(_hex(case, "intermediate", "sharedSecret"), *inits, *names)
    _compare_schedule(values, found)
    _consistent_schedule(values["sharedSecret"], values)
    for number, move in enumerate(given["moves"]):
        if move["action"] != "send":
            _same(f"plaintext of move {number}", "", move["plaintext"])
    wires = [bytes.fromhex(move["wire"]) for move in given["moves"]]
    _same("clientInit on the wire", wires[0][8:], inits[0])
    _same("serverInit on the wire", wires[1][8 : 8 + len(inits[1])], inits[1])


def _play(case: Json, role: RoleName, end: EndpointUnderTest) -> Completion:
    """One end against the recorded bytes of the other, cut as the case says; `result` may be None."""
    completed: Completion | None = None
    reply, payload, expected_payload = b"", b"", b""
    pending = b""

    def deliver() -> None:
        nonlocal reply, payload, completed, pending
        for piece in _pieces(pending, case["input"]["delivery"]):
            step = end.receive(piece)
            if step.failed is not None:
                raise Mismatch(f"{role}: {step.failed.error} in {step.failed.state}")
            reply, payload, completed = reply + step.output, payload + step.payload, completed or step.completed
        pending = b""

    for move in case["input"]["moves"]:
        wire = bytes.fromhex(move["wire"])
        if move["by"] != role:
            pending += wire
            expected_payload += bytes.fromhex(move["plaintext"])
            if case["input"]["delivery"] != "coalesced":
                deliver()
            continue
        deliver()
        if move["action"] == "start":
            found = end.start().output
        elif move["action"] == "send":
            found = end.send(bytes.fromhex(move["plaintext"])).output
        else:
            found, reply = reply, b""
        _same(f"{role}: {move['action']}", wire, found)
    deliver()
    _same(f"{role}: bytes nobody asked for", b"", reply)
    _same(f"{role}: payload", expected_payload, payload)
    if completed is None:
        raise Mismatch(f"{role}: the handshake did not complete")
    if case["result"] is None:
        return completed
    expected = case["result"][role]
    _same(f"{role}: rpcVersion", tuple(expected["rpcVersion"]), completed.rpc_version)
    _same(f"{role}: transcriptHash", bytes.fromhex(expected["transcriptHash"]), completed.transcript_hash)
    for key, name in _COMPLETION.items():
        _same(f"{role}: {key}", expected[key], getattr(completed, name))
    return completed


_COMPLETION = {
    "peerIdentity": "peer_identity",
    "peerCategory": "peer_category",
    "handshakeCipher": "handshake_cipher",
    "recordProtocol": "record_protocol",
    "applicationProtocol": "application_protocol",
    "maxFrameSize": "max_frame_size",
}


def _pieces(data: bytes, delivery: str) -> Iterator[bytes]:
    if delivery == "byte":
        yield from (data[at : at + 1] for at in range(len(data)))
    elif delivery == "frame":
        while data:
            size = 4 + int.from_bytes(data[:4], "little")
            yield data[:size]
            data = data[size:]
    elif data:
        yield data


def _record(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given = case["input"]
    M, first, size = _hex(case, "input", "M"), int(given["firstFrame"]), given["maxFrameSize"]
    plaintexts = [bytes.fromhex(text) for text in given["plaintexts"]]
    wire = [bytes.fromhex(frame) for frame in case["result"]["wire"]]
    if given["sealable"]:
        found, error = target.seal(M, given["sender"], first, size, plaintexts)
        _same("error of sealing", None, error)
        _same("sealed frames", b"".join(wire), found)
    receiver: RoleName = "server" if given["sender"] == "client" else "client"
    opened = target.open(M, receiver, first, size, b"".join(wire))
    _same("error of opening", None, opened.error)
    _same("opened plaintexts", tuple(text for text in plaintexts if text), opened.plaintexts)
    for number, (frame, plaintext, place) in enumerate(
        zip(wire, plaintexts, case["intermediate"]["frames"], strict=True)
    ):
        counter, key, nonce = (bytes.fromhex(place[name]) for name in ("counter", "aeadKey", "nonce"))
        _same("counter", (first + number).to_bytes(8, "little"), counter[:8])
        _same("nonce", bytes(a ^ b for a, b in zip(counter, M[32:44], strict=True)), nonce)
        _same("aeadKey", hmac_sha256(M[:32], counter[2:8] + b"\x01")[:16], key)
        _same("frame under aeadKey and nonce", plaintext, aes128_gcm_open(key, nonce, frame[8:]))


def _record_invalid(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, result = case["input"], case["result"]
    opened = target.open(
        _hex(case, "input", "M"),
        given["receiver"],
        int(given["firstFrame"]),
        given["maxFrameSize"],
        _hex(case, "input", "wire"),
    )
    _same("plaintexts", tuple(bytes.fromhex(text) for text in result["plaintexts"]), opened.plaintexts)
    _same("error", result["error"], opened.error)


_JUDGES: dict[str, Callable[[Json, ImplementationUnderTest, Json], None]] = {
    "key_schedule": _key_schedule,
    "ticket_authenticator": _ticket_authenticator,
    "x25519": _x25519,
    "x25519_low_order": _x25519,
    "certificate": _certificate,
    "certificate_invalid": _certificate,
    "handshake": _handshake,
    "client_init": _refusal,
    "server_init": _refusal,
    "finished": _refusal,
    "frames": _refusal,
    "record": _record,
    "record_invalid": _record_invalid,
}
"""Group type to judge."""
