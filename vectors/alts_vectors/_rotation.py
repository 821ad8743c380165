"""Vectors of what goes on between issuers: ranges and mappings, rotation, first contact (SPEC 13.1.6 to 13.1.10)."""

from __future__ import annotations

from alts_model.issuance import (
    ClusterModel,
    Declined,
    RevocationModel,
    SigningModel,
    enrolment_binding,
    enrolment_macs,
)

from ._case import Group, Why
from ._files import Json
from ._issuing_world import CA, CLUSTER, MALLORY, Realm
from ._world import HOUR, HUMAN, MACHINE, NOW, WORKLOAD

_STEP_OF = tuple[str, str, int, str]


def reports() -> Group:
    """Scripts for the CRL service."""
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


def rotations(world: Realm) -> Group:
    """Scripts for the cluster master."""
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
            cluster.stop(workload, now)
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


def enrolment(world: Realm) -> Group:
    """First contact."""
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
