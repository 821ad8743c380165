"""Certificates for people: what `alts pki show` prints, and the same as a document (TRUST-5, CRED-4)."""

from __future__ import annotations

import datetime
import hashlib
from typing import TYPE_CHECKING, Any

from alts_schema.certificate_pb2 import MasterCertificate, MasterCertificateBody

from .._errors import PeerViolation
from .._messages import decode_credential
from .._table import Role
from .._trust import Category, _check_master, verify_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._config import Credential
    from .._trust import Certificate
    from ._directory import RealmDirectory


def describe_realm(realm: RealmDirectory) -> dict[str, Any]:
    """Return a realm's name, verification key, policy and number of revocations."""
    return {
        "name": realm.name,
        "verification_key_id": hashlib.sha256(realm.verification_key).hexdigest(),
        "policy": [
            {"issuer": rule.issuer, "category": rule.category.name.lower(), "identity": rule.identity}
            for rule in realm.policy.rules
        ],
        "revoked": len(realm.revoked),
    }


def describe_credential(name: str, credential: Credential, realm: RealmDirectory, now: int) -> dict[str, Any]:
    """Return a credential's certificates and what a peer in the realm would make of them now.

    Args:
        name: of the credential.
        credential: loaded from `realm`.
        realm: whose trust judges, and whose resumption keys are named.
        now: seconds since the epoch.
    """
    cert = credential.parsed
    body, master = cert.body, cert.master_body
    category = Category(int(body.category))
    keys = realm.resumption_keys(body.identity)
    verification: dict[str, Any] = {"result": "valid"}
    try:
        # a human is only ever a client, the others may be either (SPEC 4.9, step 5)
        role = Role.CLIENT if category is Category.HUMAN else Role.SERVER
        verify_certificate(credential.certificate, realm.trust(), now, role=role, targets=frozenset())
    except PeerViolation as violation:
        verification = {"result": violation.code.name, "code": int(violation.code), "detail": violation.detail}
    return {
        "name": name,
        "identity": body.identity,
        "category": category.name.lower(),
        "issuer": master.issuer,
        "boundary": body.boundary,
        "handshake_ciphers": list(body.handshake_ciphers),
        "resumption": {"id": keys.resumption_id.hex(), "epochs": keys.epochs} if keys else None,
        "handshake_certificate": {
            "sha256": hashlib.sha256(credential.certificate).hexdigest(),
            "size": len(credential.certificate),
            "not_before": body.not_before,
            "not_after": body.not_after,
            "revocation_id": f"{body.revocation_id:016x}",
            "x25519_key_sha256": hashlib.sha256(body.x25519_public_key).hexdigest(),
        },
        "master_certificate": {
            "sha256": hashlib.sha256(cert.signed.master).hexdigest(),
            "identity": master.identity,
            "not_before": master.not_before,
            "not_after": master.not_after,
            "revocation_id": f"{master.revocation_id:016x}",
            "ed25519_key_sha256": hashlib.sha256(master.public_key).hexdigest(),
            "verification_key_id": master.verification_key_id.hex(),
            "workload_identities": list(master.workload_identities),
        },
        "verification": verification,
    }


def realm_text(document: Mapping[str, Any]) -> str:
    """Return what `describe_realm` made, as lines."""
    lines = [f"realm {document['name']}", f"  verification key  sha256 {document['verification_key_id']}"]
    for rule in document["policy"]:
        lines.append(f"  policy            {rule['issuer']} may issue {rule['category']} {rule['identity']}")
    if not document["policy"]:
        lines.append("  policy            nobody may issue anything")
    lines.append(f"  revoked           {document['revoked']} IDs")
    return "\n".join(lines)


def credential_text(document: Mapping[str, Any]) -> str:
    """Return what `describe_credential` made, as lines."""
    handshake, master = document["handshake_certificate"], document["master_certificate"]
    found = document["verification"]
    verdict = found["result"] if found["result"] == "valid" else f"{found['result']}: {found['detail']}"
    keys = document["resumption"]
    resumption = f"ID {keys['id']}, epochs {', '.join(map(str, keys['epochs']))}" if keys else "no key"
    rows = [
        ("identity", f"{document['identity']} ({document['category']})"),
        ("issuer", document["issuer"]),
        ("boundary", document["boundary"] or "none"),
        ("ciphers", ", ".join(document["handshake_ciphers"])),
        ("resumption", resumption),
        ("handshake cert", f"sha256 {handshake['sha256']}"),
        ("  validity", _validity(handshake)),
        ("  revocation ID", handshake["revocation_id"]),
        ("  X25519 key", f"sha256 {handshake['x25519_key_sha256']}"),
        ("master cert", f"sha256 {master['sha256']}"),
        ("  identity", master["identity"]),
        *(("  workloads", pattern) for pattern in master["workload_identities"]),
        ("  validity", _validity(master)),
        ("  revocation ID", master["revocation_id"]),
        ("  Ed25519 key", f"sha256 {master['ed25519_key_sha256']}"),
        ("  signed by", f"verification key sha256 {master['verification_key_id']}"),
        ("chain", verdict),
    ]
    return "\n".join([f"credential {document['name']}", *(f"  {label:<16}  {value}" for label, value in rows)])


def expiry_text(certificate: Certificate, now: int) -> str:
    """Return when a certificate's two parts are valid, and when they were judged, as lines."""
    rows = [(f"{what} cert", f"valid {_time(begin)} to {_time(end) if end else 'no expiry'}")
            for what, begin, end in reversed(certificate.validity)]  # fmt: skip
    return "\n".join(f"  {label:<16}  {value}" for label, value in [*rows, ("judged at", _time(now))])


def is_master(raw: bytes) -> bool:
    """Tell whether this is a serialised MasterCertificate, and not only decodes as one, as no bytes at all do too."""
    try:
        _check_master(decode_credential(MasterCertificateBody, decode_credential(MasterCertificate, raw).body))
    except PeerViolation:
        return False
    return True


def _validity(certificate: Mapping[str, Any]) -> str:
    end = certificate["not_after"]
    return f"{_time(certificate['not_before'])} to {_time(end) if end else 'no expiry'}"


def _time(seconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"  # beyond the year 9999
