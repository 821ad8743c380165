"""Judges of the vectors of ciphers, resumption, tickets, policies and signed files; see `_verify`.

Every intermediate value is computed here once more, from the private keys and seeds in the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alts_model.ciphers import CIPHERS
from alts_model.primitives import (
    aes_gcm_open,
    hkdf_expand,
    hkdf_extract,
    ml_kem_768_encapsulate,
    ml_kem_768_keys,
)

from . import _settings, _wire
from ._files import Json
from ._verify import _ROLES, Mismatch, _act, _consistent_schedule, _hex, _play, _same, refused
from .target import (
    EndpointSettings,
    EndpointUnderTest,
    FileVerdict,
    ImplementationUnderTest,
    ProcessUnderTest,
    ResumptionSettings,
    RoleName,
    TicketParty,
    TicketText,
)

_MODES = {b"\x01": "full", b"\x02": "client_ticket", b"\x03": "server_ticket"}
_Processes = dict[str, ProcessUnderTest]


def _end(
    target: ImplementationUnderTest, processes: _Processes, name: str, role: RoleName, settings: EndpointSettings
) -> EndpointUnderTest:
    return processes[name].endpoint(role, settings) if name else target.endpoint(role, settings)


def _connections(case: Json, target: ImplementationUnderTest, document: Json) -> _Processes:
    """Play the connections of a case, each end against the recorded bytes of the other."""
    given = case["input"]
    processes = {
        name: target.process(_settings.resumption_from_json(data)) for name, data in given["processes"].items()
    }
    expected = case["result"].get("connections", [None] * len(given["connections"]))
    if len(expected) != len(given["connections"]):
        raise Mismatch("not one result for each connection")
    for connection, result in zip(given["connections"], expected, strict=True):
        for role in _ROLES:
            settings = _settings.from_json(document["endpoints"][connection[role]])
            end = _end(target, processes, connection[f"{role}Process"], role, settings)
            _play_one(connection, role, end, result)
    return processes


def _play_one(connection: Json, role: RoleName, end: EndpointUnderTest, result: Json | None) -> None:
    played = {"input": {"moves": connection["moves"], "delivery": "move"}, "result": result}
    completed = _play(played, role, end)
    if result is not None:
        _same(f"{role}: mode", result[role]["mode"], completed.mode)


def _sequence(case: Json, target: ImplementationUnderTest, document: Json) -> None:
    _connections(case, target, document)
    given = case["input"]
    secrets: dict[bytes, str] = {}
    for index, (connection, values) in enumerate(
        zip(given["connections"], case["intermediate"]["connections"], strict=True)
    ):
        ends: dict[RoleName, EndpointSettings] = {
            role: _settings.from_json(document["endpoints"][connection[role]]) for role in _ROLES
        }
        for move in connection["moves"]:
            if move["action"] != "send":
                _same("plaintext of a handshake message", "", move["plaintext"])
        inits = bytes.fromhex(values["clientInit"]), bytes.fromhex(values["serverInit"])
        wires = [bytes.fromhex(move["wire"]) for move in connection["moves"]]
        _same("clientInit on the wire", wires[0][8:], inits[0])
        _same("serverInit on the wire", wires[1][8 : 8 + len(inits[1])], inits[1])
        chosen = case["result"]["connections"][index]["client"]
        resumed = chosen["mode"] != "full"
        terms = _terms(CIPHERS[chosen["handshakeCipher"]].material(resumed), chosen["handshakeCipher"], ends, target)
        found = {name: bytes.fromhex(value) for name, value in values["terms"].items()}
        _same("names of the terms", tuple(terms), tuple(found))
        for name, value in terms.items():
            if name == "secret":
                if found[name] not in secrets:
                    raise Mismatch("secret: of no ticket of an earlier connection")
                _same(
                    "maker of the ticket",
                    {"client_ticket": "server", "server_ticket": "client"}[chosen["mode"]],
                    secrets.pop(found[name]),
                )
            else:
                _same(f"term {name}", found[name], value)
        _same("keyMaterial", bytes.fromhex(values["keyMaterial"]), b"".join(found.values()))
        _schedule(values, wires, inits, target)
        R = bytes.fromhex(values["R"])
        for role in _ROLES:
            secrets[target.ticket_secret(R, role)] = role
        _tickets(given, connection, values, ends, target)


def _schedule(values: Json, wires: list[bytes], inits: tuple[bytes, bytes], target: ImplementationUnderTest) -> None:
    found = target.key_schedule(
        bytes.fromhex(values["keyMaterial"]), *inits, values["clientIdentity"], values["serverIdentity"]
    )
    for name in ("transcriptHash", "M", "R", "A", "clientAuthenticator", "serverAuthenticator"):
        _same(name, bytes.fromhex(values[name]), found[name])
    _consistent_schedule(values["keyMaterial"], values)
    finished = {"server": wires[1][8 + len(inits[1]) + 8 :], "client": wires[2][8:]}
    for role, message in finished.items():
        _same(f"{role}Authenticator on the wire", bytes.fromhex(values[f"{role}Authenticator"]), _wire.get(message, 1))
        _same(
            f"{role}TicketAuthenticator on the wire",
            bytes.fromhex(values[f"{role}TicketAuthenticator"]),
            _wire.get(message, 2),
        )
        sent = [value for number, _, value in _wire.fields(message) if number == 3]
        tickets = [bytes.fromhex(values["tickets"][role]["ticket"])] if role in values["tickets"] else []
        _same(f"tickets of the {role} on the wire", tickets, [_wire.get(ticket, 4) for ticket in sent])


def _terms(
    names: tuple[str, ...], cipher: str, ends: Mapping[RoleName, EndpointSettings], target: ImplementationUnderTest
) -> dict[str, bytes]:
    """The terms from private keys and seeds; of a resumed session's `secret` only the name."""
    client, server = ends["client"], ends["server"]
    offered = client.handshake_ciphers[: client.handshake_ciphers.index(cipher)]
    shares, hybrids = (sum(test(CIPHERS[name]) for name in offered) for test in (_has_share, _is_hybrid))
    static = {"client": client.private_key, "server": server.private_key}
    ephemeral = {
        "client": (client.randomness.x25519[shares:] or (b"",))[0],
        "server": (server.randomness.x25519 or (b"",))[0],
    }
    pairs = {
        "ss": (static["client"], static["server"]),
        "ee": (ephemeral["client"], ephemeral["server"]),
        "es": (ephemeral["client"], static["server"]),
        "se": (static["client"], ephemeral["server"]),
    }
    found: dict[str, bytes] = {}
    for name in names:
        if name == "K":
            key = ml_kem_768_keys(client.randomness.ml_kem_seeds[hybrids])[0]
            found[name] = ml_kem_768_encapsulate(key, server.randomness.encapsulations[0])[0]
        elif name == "secret":
            found[name] = b""
        else:
            ours, theirs = pairs[name]
            found[name] = target.x25519(ours, _public(theirs, target)) or b""
    return found


def _has_share(cipher: Any) -> bool:
    return bool(cipher.client_share)


def _is_hybrid(cipher: Any) -> bool:
    return bool(cipher.hybrid)


def _public(private_key: bytes, target: ImplementationUnderTest) -> bytes:
    return target.x25519(private_key, (9).to_bytes(32, "little")) or b""


def _tickets(
    given: Json,
    connection: Json,
    values: Json,
    ends: Mapping[RoleName, EndpointSettings],
    target: ImplementationUnderTest,
) -> None:
    for role in _ROLES:
        if role not in values["tickets"]:
            continue
        part = {name: bytes.fromhex(value) for name, value in values["tickets"][role].items()}
        resumption = _settings.resumption_from_json(given["processes"][connection[f"{role}Process"]])
        _same("secret of a ticket", part["secret"], target.ticket_secret(bytes.fromhex(values["R"]), role))
        _same("salt", part["salt"], ends[role].randomness.ticket_salts[0])
        _same("secret in the plaintext", part["secret"], _wire.get(part["plaintext"], 2))
        _inside(part, resumption, role, values[f"{role}Identity"])


def _inside(part: Mapping[str, bytes], resumption: ResumptionSettings, maker: RoleName, identity: str) -> None:
    """Key, associated data and plaintext of a ticket, by RFC 5869 and AES-GCM."""
    epoch, resumption_key = max(resumption.keys)
    _same(
        "key of a ticket",
        part["key"],
        hkdf_expand(hkdf_extract(part["salt"], resumption_key), b"openalts v1 ticket key", 32),
    )
    names = (maker.encode(), identity.encode(), resumption.resumption_id)
    aad = b"openalts v1 ticket" + b"".join(len(name).to_bytes(2, "big") + name for name in names)
    _same("aad of a ticket", part["aad"], aad + epoch.to_bytes(8, "big") + b"\x01")
    _same("salt of a ticket", part["salt"], part["ticket"][:32])
    opened = aes_gcm_open(part["key"], bytes(12), part["ticket"][32:], part["aad"])
    _same("plaintext of a ticket", part["plaintext"], opened)


def _one_more(case: Json, target: ImplementationUnderTest, document: Json) -> EndpointUnderTest:
    given = case["input"]
    processes = _connections(case, target, document)
    settings = _settings.from_json(document["endpoints"][given["endpoint"]])
    return _end(target, processes, given["process"], given["role"], settings)


def _sequence_refused(case: Json, target: ImplementationUnderTest, document: Json) -> None:
    refused(case, _one_more(case, target, document))


def _answer(case: Json, target: ImplementationUnderTest, document: Json) -> None:
    end = _one_more(case, target, document)
    for expected in case["input"]["steps"]:
        step = _act(end, expected["action"], bytes.fromhex(expected["data"]))
        if step.failed is not None:
            raise Mismatch(f"{step.failed.error} in {step.failed.state}")
        _same("output", bytes.fromhex(expected["output"]), step.output)
        _same("state", expected["state"], step.state)
        _same("payload", bytes.fromhex(expected["payload"]), step.payload)
        size = 4 + int.from_bytes(step.output[:4], "little")
        _same("mode", case["result"]["mode"], _MODES[_wire.get(step.output[8:size], 3)])


def _ticket_secret(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    _same(
        "secret", _hex(case, "result", "secret"), target.ticket_secret(_hex(case, "input", "R"), case["input"]["maker"])
    )


def _party(data: Json) -> TicketParty:
    return TicketParty(
        data["category"],
        data["identity"],
        data["issuer"],
        data["boundary"],
        data["notAfter"],
        (int(data["revocationIds"]["handshake"], 16), int(data["revocationIds"]["master"], 16)),
        bytes.fromhex(data["certificateDigest"]),
        bytes.fromhex(data["verificationKeyId"]),
    )


def _resumption(given: Json) -> ResumptionSettings:
    return ResumptionSettings(
        bytes.fromhex(given["resumptionId"]),
        tuple((int(epoch), bytes.fromhex(key)) for epoch, key in given["keys"].items()),
    )


def _ticket(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given, resumption = case["input"], _resumption(case["input"])
    data, salt = given["contents"], _hex(case, "input", "salt")
    text = TicketText(
        bytes.fromhex(data["secret"]),
        _party(data["maker"]),
        _party(data["holder"]),
        data["handshakeCipher"],
        data["created"],
        data["fullHandshake"],
    )
    ticket = _hex(case, "result", "ticket")
    _same("ticket", ticket, target.seal_ticket(resumption, given["maker"], text, salt))
    epoch = max(resumption.keys)[0]
    identity = text.maker.identity
    _same(
        "opened ticket",
        text,
        target.open_ticket(resumption, given["maker"], identity, resumption.resumption_id, epoch, ticket),
    )
    values = {name: bytes.fromhex(value) for name, value in case["intermediate"].items()}
    _inside({**values, "salt": salt, "ticket": ticket}, resumption, given["maker"], identity)


def _ticket_invalid(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given = case["input"]
    opened = target.open_ticket(
        _resumption(given),
        given["maker"],
        given["identity"],
        _hex(case, "input", "presentedId"),
        int(given["keyEpoch"]),
        _hex(case, "input", "ticket"),
    )
    _same("opened", None, opened)


def _rules(policy: list[Json]) -> tuple[tuple[str, int, str], ...]:
    return tuple((rule["issuer"], rule["category"], rule["identity"]) for rule in policy)


def _policy(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    given = case["input"]
    found = target.policy(_rules(given["policy"]), given["issuer"], given["category"], given["identity"])
    _same("allowed", case["result"].get("allowed"), found)


def _compare_file(case: Json, verdict: FileVerdict) -> None:
    result = case["result"]
    _same("refused", result.get("refused"), verdict.refused)
    if result["verdict"] == "valid":
        _same("sequence", int(result["sequence"]), verdict.sequence)
        _same("issuedAt", result["issuedAt"], verdict.issued_at)
        _same("revoked", tuple(int(number, 16) for number in result.get("revoked", ())), verdict.revoked)
        _same("policy", _rules(result.get("policy", [])), verdict.rules)


def _keys(case: Json) -> list[bytes]:
    return [bytes.fromhex(key) for key in case["input"]["keys"]]


def _revocation_file(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    _compare_file(case, target.revocation_file(_hex(case, "input", "file"), _keys(case)))


def _policy_file(case: Json, target: ImplementationUnderTest, _: Json) -> None:
    _compare_file(case, target.policy_file(_hex(case, "input", "file"), _keys(case), case["input"]["deployment"]))


JUDGES: dict[str, Callable[[Json, ImplementationUnderTest, Json], None]] = {
    "cipher": _sequence,
    "cipher_refused": _sequence_refused,
    "resumption": _sequence,
    "resumption_answer": _answer,
    "resumption_refused": _sequence_refused,
    "ticket_secret": _ticket_secret,
    "ticket": _ticket,
    "ticket_invalid": _ticket_invalid,
    "policy": _policy,
    "policy_invalid": _policy,
    "revocation_file": _revocation_file,
    "revocation_file_invalid": _revocation_file,
    "policy_file": _policy_file,
    "policy_file_invalid": _policy_file,
}
"""Group type to judge."""
