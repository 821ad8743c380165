"""Vectors of issuance (SPEC 13.1): proofs of possession, masters, ranges and mappings, rotation, first contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alts_model.issuance import (
    Asked,
    Declined,
    KeyText,
    SigningModel,
    accept_answer,
    check_key,
    prove,
)
from alts_model.issuing import build_master
from alts_model.primitives import ed25519_public, ed25519_sign

from . import _wire
from ._case import Group, Why, document
from ._files import Json
from ._issuing_world import CA, CLUSTER, DAY, MALLORY, Realm
from ._rotation import enrolment, reports, rotations
from ._world import CIPHER, HOUR, HUMAN, MACHINE, NOW, RESERVED_CIPHER, WORKLOAD


def generate(seed: str) -> Json:
    """The file `issuance`."""
    world = Realm(seed)
    groups = [
        *_key_requests(world),
        *_signed(world),
        *_answered(world),
        reports(),
        rotations(world),
        enrolment(world),
    ]
    return document(
        "issuance",
        seed,
        "Issuance between services (SPEC.md 13.1), each service alone: what it is sent, and what it has to answer. "
        "A status is that of gRPC.",
        groups,
    )


# Proof of possession.

_PROOF = ("ISSUE-1", "ISSUE-2")


def _request_json(request: bytes, proof: bytes, requester: str, binding: bytes | None) -> Json:
    return {
        "request": request.hex(),
        "proof": proof.hex(),
        "requester": requester,
        "binding": "" if binding is None else binding.hex(),
    }


def _key_requests(world: Realm) -> tuple[Group, Group]:
    good = Group("key_request", "Requests for a certificate that whoever receives them must take.")
    keys = {
        "machine": (world.key(), "The usual request of a machine."),
        "human": (
            world.key(category=HUMAN, identity="test/user/alice@example"),
            "A human's key; the same form for every category.",
        ),
        "workload": (
            world.key(
                category=WORKLOAD, identity=CLUSTER, requester=CLUSTER, workload_identities=("test/**", "prod/*")
            ),
            "A base workload master: the patterns of its workloads are part of what is signed.",
        ),
        "two-ciphers": (
            world.key(handshake_ciphers=(CIPHER, RESERVED_CIPHER)),
            "The certificate will list what the owner asked for.",
        ),
    }
    for name, (key, reason) in keys.items():
        request = key.encode()
        proof = prove(world.derive("owner"), request)
        for place, binding in (("issuer", key.binding), ("signing", None)):
            found = check_key(request, proof, key.requester, binding)
            assert found == key
            where = "the connection that it came on" if binding else "no connection: the Signing Service's view"
            good.add(
                f"{name}-at-{place}",
                Why(f"a key request, {name}, with {where}", reason, _PROOF, ("13.1",), ("Honest",)),
                input=_request_json(request, proof, key.requester, binding),
                result={
                    "verdict": "valid",
                    "category": key.category,
                    "identity": key.identity,
                    "publicKey": key.public_key.hex(),
                    "handshakeCiphers": list(key.handshake_ciphers),
                    "workloadIdentities": list(key.workload_identities),
                },
            )
    return good, _bad_key_requests(world)


def _bad_key_requests(world: Realm) -> Group:
    group = Group("key_request_invalid", "Requests for a certificate that must be declined.")
    owner, key = world.derive("owner"), world.key()
    plain = key.encode()
    wrong: dict[str, tuple[KeyText | bytes, str]] = {
        "version-2": (replace(key, version=2), "Another version."),
        "category-0": (replace(key, category=0), "No category."),
        "category-4": (replace(key, category=4), "An unknown category."),
        "identity-empty": (replace(key, identity=""), "Nobody's key."),
        "identity-pattern": (replace(key, identity="test/*"), "A pattern is no identity."),
        "scheme-2": (replace(key, scheme=2), "A scheme that this version does not sign with."),
        "key-short": (replace(key, public_key=key.public_key[:31]), "A key of 31 bytes."),
        "ciphers-none": (replace(key, handshake_ciphers=()), "No handshake cipher."),
        "ciphers-twice": (replace(key, handshake_ciphers=(CIPHER, CIPHER)), "A cipher twice."),
        "ciphers-blank": (replace(key, handshake_ciphers=("A B",)), "A name with a blank."),
        "patterns-of-a-machine": (
            replace(key, workload_identities=("test/**",)),
            "Only a base workload master has patterns.",
        ),
        "workload-without-patterns": (replace(key, category=WORKLOAD), "A base workload master for nothing."),
        "workload-with-17": (
            replace(key, category=WORKLOAD, workload_identities=tuple(f"test/{n}" for n in range(17))),
            "More patterns than a master may have.",
        ),
        "workload-bad-pattern": (
            replace(key, category=WORKLOAD, workload_identities=("test*",)),
            "A partial wildcard is no pattern.",
        ),
        "binding-short": (replace(key, binding=key.binding[:31]), "A binding of 31 bytes."),
        "unknown-field": (plain + _wire.one(15, _wire.VARINT, _wire.varint(1)), "A field that nobody knows."),
        "not-minimal": (_wire.put(plain, 1, 1)[:1] + b"\x81\x00" + plain[2:], "A varint longer than it need be."),
        "no-message": (b"\xff" + plain, "Not a message at all."),
        "empty": (b"", "Nothing was asked for."),
    }
    for name, (what, reason) in wrong.items():
        request = what if isinstance(what, bytes) else what.encode()
        _declined_key(group, name, reason, request, prove(owner, request), CA, key.binding)
    _declined_key(
        group, "other-requester", "Mallory forwards the CA's request.", plain, prove(owner, plain), MALLORY, key.binding
    )
    _declined_key(
        group, "other-requester-at-signing", "Mallory has it signed.", plain, prove(owner, plain), MALLORY, None
    )
    other = world.derive("another connection")
    _declined_key(group, "other-connection", "It was overheard elsewhere.", plain, prove(owner, plain), CA, other)
    proofs = {
        "of-another-key": prove(world.derive("thief"), plain),
        "of-another-request": prove(owner, replace(key, identity="test/machine/2").encode()),
        "without-label": ed25519_sign(owner, plain),
        "short": prove(owner, plain)[:63],
        "empty": b"",
    }
    for name, proof in proofs.items():
        reason = "Whoever asks does not hold the key." if len(proof) == 64 else "A proof of another size."
        _declined_key(group, f"proof-{name}", reason, plain, proof, CA, key.binding)
    return group


def _declined_key(
    group: Group, name: str, reason: str, request: bytes, proof: bytes, requester: str, binding: bytes | None
) -> None:
    status = _status(lambda: check_key(request, proof, requester, binding))
    group.add(
        name,
        Why(f"a key request: {name.replace('-', ' ')}", reason, _PROOF, ("13.1",), ("Possession",)),
        input=_request_json(request, proof, requester, binding),
        result={"verdict": "invalid", "status": status},
    )


def _status(act: Any) -> str:
    try:
        act()
    except Declined as declined:
        return declined.status
    raise AssertionError("the model takes it")


# What the Signing Service signs, and what its issuer does with the answer.


def _asked_json(asked: Asked) -> Json:
    return {
        "request": asked.request.hex(),
        "proof": asked.proof.hex(),
        "notBefore": asked.not_before,
        "notAfter": asked.not_after,
        "revocationId": f"{asked.revocation_id:016x}",
    }


def _signed(world: Realm) -> tuple[Group, Group]:
    good = Group("signed_master", "The Signing Service names its authenticated caller as issuer, and signs.")
    ids = ("ISSUE-1", "ISSUE-2", "CRED-1", "CRED-4")
    machine = world.asked(world.key())
    human = world.key(category=HUMAN, identity="test/user/alice@example")
    workload = world.key(category=WORKLOAD, identity=CLUSTER, requester=CLUSTER, workload_identities=("test/**",))
    admin = world.key(category=HUMAN, identity="test/user/admin", requester=MALLORY)
    cases: dict[str, tuple[list[Asked], Asked, str, str]] = {
        "machine": ([], machine, CA, "A machine's master certificate."),
        "no-expiry": ([], replace(machine, not_after=0), CA, "Machines' certificates may have no end."),
        "human": ([], world.asked(human, not_after=NOW - 300 + 72000), CA, "20 hours, the longest."),
        "workload": ([], world.asked(workload, not_after=NOW + 4 * DAY), CLUSTER, "A base workload master."),
        "mallory": (
            [],
            world.asked(admin, not_after=NOW + HOUR),
            MALLORY,
            "It is signed, with Mallory as its issuer: verifiers judge, the Signing Service does not.",
        ),
        "again": ([machine], machine, CA, "The same request has the same certificate, byte for byte."),
    }
    for name, (before, asked, requester, reason) in cases.items():
        service = SigningModel(world.signing_seed)
        for one in before:
            service.sign(one, requester)
        certificate = service.sign(asked, requester)
        good.add(
            name,
            Why(f"what the Signing Service makes: {name.replace('-', ' ')}", reason, ids, ("13.1", "4.6"), ("Honest",)),
            input=_signing_json(world, before, asked, requester),
            intermediate={"body": _wire.get(certificate, 1).hex(), "signature": _wire.get(certificate, 2).hex()},
            result={"verdict": "valid", "certificate": certificate.hex()},
        )
    bad = Group("signed_master_invalid", "What the Signing Service must not sign.")
    wrong: dict[str, tuple[list[Asked], Asked, str, str]] = {
        "not-the-requester": ([], machine, MALLORY, "The caller is not whom the key's owner named."),
        "proof-used-for-another-id": (
            [machine],
            replace(machine, revocation_id=machine.revocation_id + 1),
            CA,
            "One proof, one certificate: a second would escape the first one's revocation.",
        ),
        "proof-used-for-other-times": (
            [machine],
            replace(machine, not_after=0),
            CA,
            "Other times are another certificate.",
        ),
        "category-of-the-id": ([], replace(machine, revocation_id=HUMAN << 56 | 7), CA, "4.6: the ID says human."),
        "human-too-long": ([], world.asked(human, not_after=NOW - 299 + 72000), CA, "4.6: 20 hours and a second."),
        "human-without-end": ([], world.asked(human, not_after=0), CA, "4.6: a human's certificate ends."),
        "ends-before-it-begins": ([], replace(machine, not_after=NOW - 301), CA, "4.6: validity."),
        "proof-wrong": ([], replace(machine, proof=bytes(64)), CA, "Nobody showed that they hold the key."),
    }
    for name, (before, asked, requester, reason) in wrong.items():
        service = SigningModel(world.signing_seed)
        for one in before:
            service.sign(one, requester)
        bad.add(
            name,
            Why(f"what is asked for: {name.replace('-', ' ')}", reason, ids, ("13.1", "4.6"), ("Possession",)),
            input=_signing_json(world, before, asked, requester),
            result={"verdict": "invalid", "status": _status(lambda s=service, a=asked, r=requester: s.sign(a, r))},
        )
    return good, bad


def _signing_json(world: Realm, before: Sequence[Asked], asked: Asked, requester: str) -> Json:
    return {
        "signingSeed": world.signing_seed.hex(),
        "before": [_asked_json(one) for one in before],
        "asked": _asked_json(asked),
        "requester": requester,
    }


def _answered(world: Realm) -> tuple[Group, Group]:
    ids = ("ISSUE-3", "REVOKE-4")
    asked = world.asked(world.key())
    certificate = SigningModel(world.signing_seed).sign(asked, CA)
    good = Group("answered_master", "A certificate that comes back to its issuer is kept, forwarded and reported.")
    good.add(
        "asked-for",
        Why("the certificate that was asked for", "The issuer reports its digest.", ids, ("13.1",), ("Honest",)),
        input={"asked": _asked_json(asked), "requester": CA, "certificate": certificate.hex()},
        result={"verdict": "valid", "digest": accept_answer(asked, CA, certificate).hex()},
    )
    bad = Group("answered_master_invalid", "Another certificate than the one that was asked for.")
    usual: dict[str, Any] = {
        "category": MACHINE,
        "identity": "test/machine/1",
        "issuer": CA,
        "public_key": ed25519_public(world.derive("owner")),
        "revocation_id": asked.revocation_id,
        "not_before": asked.not_before,
        "not_after": asked.not_after,
        "handshake_ciphers": (CIPHER,),
    }
    assert build_master(world.signing_seed, **usual) == certificate
    changes: dict[str, tuple[dict[str, Any], str]] = {
        "identity": ({"identity": "test/machine/2"}, "Somebody else's."),
        "issuer": ({"issuer": MALLORY}, "Another issuer."),
        "key": ({"public_key": ed25519_public(world.derive("thief"))}, "Another key."),
        "category": ({"category": HUMAN, "revocation_id": HUMAN << 56 | 0x10001, "not_after": NOW}, "A human's."),
        "revocation-id": ({"revocation_id": asked.revocation_id + 1}, "An ID that nobody would report."),
        "ends-later": ({"not_after": asked.not_after + 1}, "It would outlive what the issuer knows."),
        "begins-earlier": ({"not_before": asked.not_before - 1}, "Another beginning."),
        "ciphers": ({"handshake_ciphers": (CIPHER, RESERVED_CIPHER)}, "More than was asked for."),
        "signature-short": ({"signature": bytes(63)}, "No signature's size."),
    }
    answers = {
        name: (build_master(world.signing_seed, **{**usual, **c}), reason) for name, (c, reason) in changes.items()
    }
    answers["no-certificate"] = (certificate[:-1], "Cut short.")
    answers["empty"] = (b"", "No bytes at all.")
    for name, (answer, reason) in answers.items():
        bad.add(
            name,
            Why(f"an answer: {name.replace('-', ' ')}", reason, ids, ("13.1",), ("Answer",)),
            input={"asked": _asked_json(asked), "requester": CA, "certificate": answer.hex()},
            result={"verdict": "invalid", "status": _status(lambda a=answer: accept_answer(asked, CA, a))},
        )
    return good, bad
