"""Vectors of issuance (SPEC 13.1): proofs of possession, masters, ranges and mappings, rotation, first contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alts_model.issuance import (
    Asked,
    ClusterModel,
    Declined,
    KeyText,
    RevocationModel,
    SigningModel,
    accept_answer,
    check_key,
    enrolment_binding,
    enrolment_macs,
    prove,
)
from alts_model.issuing import build_master
from alts_model.primitives import ed25519_public, ed25519_sign

from . import _wire
from ._case import Group, Why, document
from ._files import Json
from ._world import CIPHER, HOUR, HUMAN, MACHINE, NOW, RESERVED_CIPHER, WORKLOAD, World

CA, CLUSTER, MALLORY = "test/ca", "test/cluster-master", "test/user/mallory"
DAY = 24 * HOUR


class Realm(World):
    """Keys and requests by name."""

    def key(self, name: str = "owner", **changes: Any) -> KeyText:
        """What the owner of a key asks for: usually a machine, for its key, of the CA."""
        usual = KeyText(
            MACHINE,
            "test/machine/1",
            CA,
            ed25519_public(self.derive(name)),
            (CIPHER,),
            (),
            self.derive("connection"),
        )
        return replace(usual, **changes)

    def asked(self, key: KeyText, name: str = "owner", number: int = 0x10001, **changes: Any) -> Asked:
        """What the issuer makes of it."""
        request = key.encode()
        usual = Asked(
            request, prove(self.derive(name), request), NOW - 300, NOW + 180 * DAY, key.category << 56 | number
        )
        return replace(usual, **changes)


def generate(seed: str) -> Json:
    """The file `issuance`."""
    world = Realm(seed)
    groups = [
        *_key_requests(world),
        *_signed(world),
        *_answered(world),
        _reports(),
        _rotations(world),
        _enrolment(world),
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


# Ranges and mappings.

_STEP_OF = tuple[str, str, int, str]


def _reports() -> Group:
    group = Group(
        "mapping_report", "Ranges of revocation IDs, and the certificates that have them, at the CRL service."
    )
    one, two = "11" * 32, "22" * 32
    machine, workload, human = MACHINE << 56, WORKLOAD << 56, HUMAN << 56
    first = 0x10000
    scripts: dict[str, tuple[list[_STEP_OF], str]] = {
        "one-issuer": (
            [(CA, "grant", 8, ""), (CA, "report", machine | first, one), (CA, "report", human | first + 7, two)],
            "The first range begins above the IDs of a realm's founding; its last ID counts.",
        ),
        "ranges-do-not-overlap": (
            [(CA, "grant", 3, ""), (CLUSTER, "grant", 5, ""), (CA, "grant", 1, "")],
            "Every ID is granted once.",
        ),
        "report-again": (
            [(CA, "grant", 2, ""), *[(CA, "report", machine | first, one)] * 2],
            "An issuer that heard no answer reports again.",
        ),
        "another-certificate": (
            [(CA, "grant", 2, ""), (CA, "report", machine | first, one), (CA, "report", machine | first, two)],
            "One ID, one certificate.",
        ),
        "foreign-range": (
            [(CA, "grant", 2, ""), (CLUSTER, "grant", 2, ""), (CA, "report", machine | first + 2, one)],
            "The cluster master's ID.",
        ),
        "beyond-the-range": (
            [(CA, "grant", 2, ""), (CA, "report", machine | first + 2, one)],
            "The ID after the last one.",
        ),
        "below-all-ranges": (
            [(CA, "grant", 2, ""), (CA, "report", machine | first - 1, one)],
            "Founding's IDs are in no range.",
        ),
        "no-category": (
            [(CA, "grant", 2, ""), (CA, "report", first, one), (CA, "report", 4 << 56 | first, one)],
            "The top byte is the category.",
        ),
        "digest-size": (
            [(CA, "grant", 2, ""), (CA, "report", workload | first, one[:62])],
            "A digest has 32 bytes.",
        ),
        "no-issuer": ([(MALLORY, "grant", 1, "")], "Users get no ranges."),
        "grant-sizes": (
            [(CA, "grant", 0, ""), (CA, "grant", (1 << 20) + 1, ""), (CA, "grant", 1 << 20, ""), (CA, "grant", 1, "")],
            "1 to 2^20 at a time.",
        ),
    }
    for name, (steps, reason) in scripts.items():
        model = RevocationModel((CA, CLUSTER))
        found: list[Json] = []
        for caller, action, number, digest in steps:
            status, begin = "OK", ""
            try:
                if action == "grant":
                    begin = str(model.grant(caller, number)[0])
                else:
                    model.report(caller, number, bytes.fromhex(digest))
            except Declined as declined:
                status = declined.status
            found.append({"status": status, "first": begin})
        group.add(
            name,
            Why(
                f"a script for the CRL service: {name.replace('-', ' ')}",
                reason,
                ("REVOKE-3", "REVOKE-4"),
                ("13.1",),
                ("RevocationRange",),
            ),
            input={
                "issuers": [CA, CLUSTER],
                "steps": [
                    {"caller": caller, "action": action, "number": str(number), "digest": digest}
                    for caller, action, number, digest in steps
                ],
            },
            result={
                "verdict": "valid",
                "steps": found,
                "mappings": [
                    {"revocationId": f"{number:016x}", "digest": digest.hex()}
                    for number, digest in sorted(model.mappings.items())
                ],
            },
        )
    return group


# Rotation.


def _rotations(world: Realm) -> Group:
    group = Group(
        "rotation", "A cluster master's clock goes on: what it re-issues, and which resumption keys it keeps."
    )
    a, b, c = (world.derive(name)[:16].hex() for name in ("workload a", "workload b", "workload c"))
    front, back = "test/frontend", "test/backend"
    scripts: dict[str, tuple[list[tuple[int, str, str, str]], str]] = {
        "every-two-days": (
            [(0, "tick", "", ""), (0, "schedule", a, front), (0, "schedule", b, back)]
            + [(hour * HOUR, "tick", "", "") for hour in (1, 47, 48, 49, 95, 96, 144)],
            "Base master, certificates and keys are new every 48 hours, and not before.",
        ),
        "a-second-before": (
            [(0, "tick", "", ""), (0, "schedule", a, front), (172799, "tick", "", ""), (172800, "tick", "", "")],
            "The second at which it is due.",
        ),
        "before-any-base": (
            [(0, "schedule", a, front), (1, "tick", "", ""), (2, "schedule", a, front)],
            "No base yet.",
        ),
        "base-expired": (
            [(0, "tick", "", ""), (345599, "schedule", a, front), (345600, "schedule", b, back)],
            "Signing was out of reach for two days: nothing is issued under an expired base.",
        ),
        "later-workload": (
            [(0, "tick", "", ""), (100, "schedule", a, front), (90000, "schedule", b, front), (172800, "tick", "", "")],
            "A certificate ends with its base master; one identity's workloads share their keys.",
        ),
        "stopped": (
            [
                (0, "tick", "", ""),
                (0, "schedule", a, front),
                (0, "schedule", b, back),
                (5, "stop", a, ""),
                (172800, "tick", "", ""),
            ],
            "What does not run is not re-issued.",
        ),
        "forced": (
            [(0, "tick", "", ""), (0, "schedule", a, front)]
            + [(hour * HOUR, "rotate", "", "") for hour in (1, 2, 3, 24, 25, 26, 27)]
            + [(75 * HOUR, "tick", "", ""), (76 * HOUR, "schedule", c, front)],
            "In an incident operators rotate: a key stays for 24 hours after its successor was made, 8 at most.",
        ),
        "many-keys": (
            [(0, "tick", "", ""), (0, "schedule", a, front)] + [(60 * n, "rotate", "", "") for n in range(1, 12)],
            "Never more than 8 keys.",
        ),
    }
    for name, (steps, reason) in scripts.items():
        cluster = ClusterModel()
        found = [_rotation_step(cluster, NOW + at, action, workload, who) for at, action, workload, who in steps]
        group.add(
            name,
            Why(
                f"a script for the cluster master: {name.replace('-', ' ')}",
                reason,
                ("ISSUE-7", "ISSUE-8", "ISSUE-9", "CRED-3"),
                ("13.1",),
                ("Rotation",),
            ),
            input={
                "start": NOW,
                "patterns": ["test/**"],
                "steps": [
                    {"at": at, "action": action, "workload": workload, "identity": who}
                    for at, action, workload, who in steps
                ],
            },
            result={"verdict": "valid", "steps": found},
        )
    return group


def _rotation_step(cluster: ClusterModel, now: int, action: str, workload: str, identity: str) -> Json:
    status = "OK"
    try:
        if action == "rotate" or (action == "tick" and cluster.due(now)):
            cluster.rotate(now)
        elif action == "schedule":
            cluster.schedule(workload, identity, now)
        elif action == "stop":
            cluster.stop(workload)
    except Declined as declined:
        status = declined.status
    return {
        "status": status,
        "bases": cluster.count,
        "running": [
            {
                "workload": name,
                "identity": who,
                "notBefore": begin,
                "notAfter": end,
                "epochs": [str(epoch) for epoch, _ in cluster.keys[who]],
            }
            for name, (who, begin, end) in sorted(cluster.workloads.items())
        ],
    }


def _enrolment(world: Realm) -> Group:
    group = Group("enrolment", "What proves, at first contact, that both sides have the token.")
    for number in (1, 2):
        token_id, token, nonce = (world.derive(f"{what} {number}") for what in ("token ID", "token", "nonce"))
        token_id = token_id[:16]
        key = world.key(binding=enrolment_binding(token_id, nonce), identity=f"test/machine/{number}")
        asked = world.asked(key)
        certificate = SigningModel(world.signing_seed).sign(asked, CA)
        macs = enrolment_macs(token, token_id, nonce, asked.request, asked.proof, certificate)
        group.add(
            f"machine-{number}",
            Why(
                f"first contact of machine {number}",
                "Every field is under one of the two MACs.",
                ("ISSUE-6", "ISSUE-1", "ISSUE-3"),
                ("13.1",),
                ("Enrolment",),
            ),
            input={
                "token": token.hex(),
                "tokenId": token_id.hex(),
                "nonce": nonce.hex(),
                "request": asked.request.hex(),
                "proof": asked.proof.hex(),
                "certificate": certificate.hex(),
            },
            result={
                "verdict": "valid",
                "binding": key.binding.hex(),
                "requestMac": macs[0].hex(),
                "responseMac": macs[1].hex(),
            },
        )
    return group
