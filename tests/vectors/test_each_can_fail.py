"""A case that cannot fail is worthless: whatever is changed in a vector, `verify` or `lint` notices."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

import alts_vectors
from alts_conformance.vector_target import TARGET
from alts_vectors._files import Json

Path = tuple[str | int, ...]
DOCUMENTS = alts_vectors.load_all()
VALID = [
    ("key_schedule", "key_schedule"),
    ("key_schedule", "ticket_authenticator"),
    ("x25519", "x25519"),
    ("certificates", "certificate"),
    ("handshake_valid", "handshake"),
    ("record", "record"),
    ("ciphers", "cipher"),
    ("resumption", "resumption"),
    ("tickets", "ticket_secret"),
    ("tickets", "ticket"),
    ("signed_files", "revocation_file"),
    ("signed_files", "policy_file"),
    ("issuance", "key_request"),
    ("issuance", "signed_master"),
    ("issuance", "answered_master"),
    ("issuance", "enrolment"),
    ("handshaker", "handshaker_start"),
]
"""Of the others a spoilt input that is spoilt elsewhere may rightly be refused for the same reason."""
GROUPS = [(kind, group["type"]) for kind, document in DOCUMENTS.items() for group in document["testGroups"]]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar below `value`, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def changed(value: Any) -> Any:
    """Another value that the schema would take in most places: the middle of it is different."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return 1
    middle = len(value) // 2
    if value == "":
        return "00"
    if all(character in "0123456789abcdef" for character in value):
        return value[:middle] + format(int(value[middle], 16) ^ 1, "x") + value[middle + 1 :]
    return value[:middle] + ("x" if value[middle] != "x" else "y") + value[middle + 1 :]


def put(case: Json, path: Path, value: Any) -> Json:
    """A copy of the case with one leaf replaced."""
    result = copy.deepcopy(case)
    node: Any = result
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return result


def noticed(kind: str, group: Json, case: Json) -> bool:
    """Whether the verifier disagrees with this one case or the linter refuses it."""
    document = {**DOCUMENTS[kind], "testGroups": [{**group, "tests": [case]}], "numberOfTests": 1}
    if not all(report.passed for report in alts_vectors.verify({kind: document}, TARGET)):
        return True
    # endpoints and notes that other cases use, and files that are not given, are not this case's fault
    findings = alts_vectors.lint({kind: document})
    return any("no such file" not in line and "no case " not in line for line in findings)


def group_of(kind: str, group_type: str) -> Json:
    (group,) = (group for group in DOCUMENTS[kind]["testGroups"] if group["type"] == group_type)
    assert isinstance(group, dict)
    return group


@pytest.mark.req("HS-5", "REC-6", "TRUST-1")
@pytest.mark.parametrize(("kind", "group_type"), GROUPS)
def test_every_expected_value_of_every_case_is_compared(kind: str, group_type: str) -> None:
    group = group_of(kind, group_type)
    silent, tried = [], 0
    for case in group["tests"]:
        assert not noticed(kind, group, case), case["id"]
        for part in ("intermediate", "result"):
            for path, value in leaves(case[part], (part,)):
                tried += 1
                if not noticed(kind, group, put(case, path, changed(value))):
                    silent.append((case["id"], path))
    assert tried >= len(group["tests"])
    assert silent == []


@pytest.mark.req("HS-2", "REC-5")
@pytest.mark.parametrize(("kind", "group_type"), GROUPS)
def test_every_step_is_compared(kind: str, group_type: str) -> None:
    """In scripts the expected output, state and payload stand beside the input."""
    group = group_of(kind, group_type)
    compared = {
        "handshake_invalid": ("output", "state", "payload"),
        "handshake_valid": ("wire", "plaintext"),
        "ciphers": ("output", "state", "payload", "wire", "plaintext"),
        "resumption": ("output", "state", "payload", "wire", "plaintext"),
    }
    silent = []
    for case in group["tests"] if kind in compared else ():
        for path, value in leaves(case["input"], ("input",)):
            if path[-1] in compared[kind] and not noticed(kind, group, put(case, path, changed(value))):
                silent.append((case["id"], path))
    assert silent == []


@pytest.mark.req("HS-5", "REC-5", "REC-6")
@pytest.mark.parametrize(("kind", "group_type"), VALID)
def test_a_changed_input_of_a_valid_case_is_noticed(kind: str, group_type: str) -> None:
    group = group_of(kind, group_type)
    names = {
        "key_schedule": ("sharedSecret", "clientInit", "serverInit", "clientIdentity", "serverIdentity"),
        "ticket_authenticator": ("A", "sender", "resumptionId", "keyEpoch", "lifetimeSeconds", "ticket"),
        "x25519": ("privateKey", "publicKey"),
        "certificate": ("certificate",),
        "handshake": ("wire",),
        "record": ("M", "firstFrame", "sender"),
        "cipher": ("wire",),
        "resumption": ("wire",),
        "ticket_secret": ("R", "maker"),
        "ticket": ("secret", "identity", "created", "fullHandshake", "handshakeCipher", "salt", "resumptionId"),
        "revocation_file": ("file",),
        "policy_file": ("file",),
        "key_request": ("request", "proof", "requester", "binding"),
        "signed_master": ("signingSeed", "request", "proof", "notBefore", "notAfter", "revocationId", "requester"),
        "answered_master": ("request", "proof", "notBefore", "notAfter", "revocationId", "requester", "certificate"),
        "enrolment": ("token", "tokenId", "nonce", "request", "proof", "certificate"),
        "handshaker_start": ("endpoint",),
    }[group_type]
    silent, tried = [], 0
    for case in group["tests"]:
        for path, value in leaves(case["input"], ("input",)):
            if path[-1] not in names:
                continue
            other = {"client": "server", "server": "client"}.get(value) if path[-1] in ("sender", "maker") else None
            if path[-1] == "M":
                other = changed(value[:64]) + value[64:]  # only the first 44 bytes are used
            tried += 1
            if not noticed(kind, group, put(case, path, other or changed(value))):
                silent.append((case["id"], path))
    assert silent == []
    assert tried


def test_a_case_that_the_implementation_accepts_is_no_invalid_one() -> None:
    """An invalid case whose fault is taken out fails: nothing passes only because everything is refused."""
    group = group_of("record", "record_invalid")
    good = group_of("record", "record")["tests"][0]
    case = copy.deepcopy(group["tests"][0])
    case["input"]["wire"] = good["result"]["wire"][0]
    case["input"]["receiver"] = "server"
    assert good["input"]["sender"] == "client"
    assert noticed("record", group, case)


class Exploding:
    """An implementation whose every method raises."""

    name = "exploding"

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no such thing")


def test_an_implementation_that_raises_fails_every_case_and_does_not_stop_the_verifier() -> None:
    reports = list(alts_vectors.verify(DOCUMENTS, Exploding()))
    assert len(reports) == sum(document["numberOfTests"] for document in DOCUMENTS.values())
    assert not any(report.passed for report in reports)
