"""Whom to believe: policy, trust anchors, and the verification of a certificate chain in SPEC's order (SPEC 4)."""

from __future__ import annotations

import enum
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alts_schema import certificate_pb2 as certificate

from ._errors import ConfigurationError, ErrorCode, PeerViolation
from ._messages import DIGEST_SIZE, MAX_CERTIFICATE_SIZE, VERSION, check_names, decode_credential, remember
from ._names import BOUNDARY, IDENTITY, MAX_LIST, PATTERN
from ._table import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MASTER_CONTEXT = b"openalts v1 master certificate\x00"
HANDSHAKE_CONTEXT = b"openalts v1 handshake certificate\x00"
HUMAN_LIFETIME = 72000
"""Seconds that a human's certificate lasts at most: 20 hours (ISSUE-5)."""
ED25519_KEY_SIZE, ED25519_SIGNATURE_SIZE = 32, 64
CATEGORY_SHIFT = 56
"""A revocation ID's category byte starts at this bit (REVOKE-3)."""


class Category(enum.IntEnum):
    """The three kinds of entity (TRUST-3); the number is also the category byte of revocation IDs (REVOKE-3)."""

    HUMAN = 1
    MACHINE = 2
    WORKLOAD = 3


def matches(pattern: str, identity: str) -> bool:
    """Tell whether an identity pattern covers an identity (SPEC 4.4): `*` is one segment, a last `**` one or more."""
    return _covers(pattern.split("/"), identity.split("/"))


def _covers(wanted: list[str], given: list[str]) -> bool:
    """Tell the same of segments; most patterns of a policy differ in the first one."""
    if wanted[0] not in (given[0], "*", "**"):  # no identity has a segment like the last two
        return False
    if len(given) < len(wanted) if wanted[-1] == "**" else len(given) != len(wanted):
        return False
    return all(want in (have, "*", "**") for want, have in zip(wanted, given, strict=False))


@dataclass(frozen=True, slots=True)
class Rule:
    """Issuers that match `issuer` may issue certificates of `category` for identities that match `identity` (POLICY-1).

    Raises:
        ConfigurationError: a pattern is not one (SPEC 4.4).
    """

    issuer: str
    category: Category
    identity: str
    _segments: tuple[list[str], list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for pattern in (self.issuer, self.identity):
            if not PATTERN.fullmatch(pattern):
                raise ConfigurationError(f"not an identity pattern: {pattern!r}")
        object.__setattr__(self, "_segments", (self.issuer.split("/"), self.identity.split("/")))


_MOST_ANSWERS = 4096


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may issue what (POLICY-1); what no rule allows is denied (POLICY-3)."""

    rules: tuple[Rule, ...]
    _answers: dict[tuple[str, int, str], bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    _index: dict[tuple[int, str, str], list[tuple[list[str], list[str]]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # by category and both first segments, "*" for a wildcard: most rules have nothing to do with a question

    def __post_init__(self) -> None:
        for rule in self.rules:
            by, whom = (pattern[0].replace("**", "*") for pattern in rule._segments)
            self._index.setdefault((int(rule.category), by, whom), []).append(rule._segments)

    def allows(self, issuer: str, category: int, identity: str) -> bool:
        """Tell whether some rule lets `issuer` issue a certificate of `category` for `identity`."""
        question = issuer, category, identity
        answer = self._answers.get(question)
        if answer is None:
            by, whom = issuer.split("/"), identity.split("/")
            answer = any(
                _covers(issuers, by) and _covers(identities, whom)
                for firsts in ((by[0], whom[0]), (by[0], "*"), ("*", whom[0]), ("*", "*"))
                for issuers, identities in self._index.get((category, *firsts), ())
            )
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[question] = answer  # rules never change: an answer stays right
        return answer


def never_revoked(revocation_id: int) -> bool:
    """Revocation hook of an endpoint whose revocation list is empty (SPEC 4.11)."""
    del revocation_id
    return False


class VerifiedSignatures:
    """A bounded memory of certificate chains whose signatures were good, and of nothing else about them.

    Expiry, policy, revocation and target are judged anew each time (SPEC 4.9). The name of an entry covers the whole
    chain and the key that it was verified under.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._names: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, digest: bytes, key: bytes) -> bool:
        """Tell whether the chain with this SHA-256 was seen to be signed under `key`."""
        return (digest, key) in self._names

    def remember(self, digest: bytes, key: bytes) -> None:
        """Note that both signatures of the chain with this SHA-256 are good under `key`."""
        with self._lock:
            self._names[digest, key] = None
            if len(self._names) > self._capacity:
                self._names.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verifier believes: Signing Service keys (CRED-4), policy (POLICY-2), revocations (REVOKE-6).

    Attributes:
        verification_keys: raw Ed25519 public keys, 32 bytes, by their SHA-256, 32 bytes.
        policy: who may issue what.
        is_revoked: asked about each 64-bit revocation ID; anything but False (None: no answer) refuses the peer.
        verified: a memory of good signatures; None: every signature is verified each time.
    """

    verification_keys: Mapping[bytes, bytes]
    policy: Policy
    is_revoked: Callable[[int], bool | None] = field(default=never_revoked)
    verified: VerifiedSignatures | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for key_id, key in self.verification_keys.items():
            if len(key) != ED25519_KEY_SIZE or hashlib.sha256(key).digest() != key_id:
                raise ConfigurationError("a verification key does not belong to its ID")


@dataclass(frozen=True, slots=True)
class Peer:
    """The authenticated peer, for authorization and audit (TRUST-5).

    Attributes:
        identity: of the entity (TRUST-2), never a host name.
        category: kind of entity.
        issuer: who asked the Signing Service for its master certificate (ISSUE-2).
        boundary: physical boundary of the operator, or empty (REC-7).
        revocation_ids: of its handshake and its master certificate.
        not_after: seconds since the epoch when the first of the two expires; 0: never.
        certificate_digest: SHA-256 of its handshake certificate, 32 bytes.
        verification_key_id: SHA-256 of the Signing Service's key that vouches for it, 32 bytes.
    """

    identity: str
    category: Category
    issuer: str
    boundary: str
    revocation_ids: tuple[int, int]
    not_after: int
    certificate_digest: bytes
    verification_key_id: bytes
    _party: bytes = field(default=b"", init=False, repr=False, compare=False)  # as in a ticket, once it was in one


@dataclass(frozen=True, slots=True)
class Certificate:
    """A decoded handshake certificate whose structure is right (SPEC 4.9, step 1); nothing in it is verified yet."""

    raw: bytes
    signed: certificate.HandshakeCertificate
    body: certificate.HandshakeCertificateBody
    master: certificate.MasterCertificate
    master_body: certificate.MasterCertificateBody
    owner: Peer
    """What the two say together, as an application will learn it."""
    static_key: bytes
    """X25519, 32 bytes."""
    handshake_ciphers: tuple[str, ...]
    validity: tuple[tuple[str, int, int], ...]
    """Name, not_before and not_after of the master and of the handshake certificate."""

    def peer(self) -> Peer:
        """Return what an application learns of the certificate's owner."""
        return self.owner


def _refuse(condition: bool, detail: str) -> None:
    if condition:
        raise PeerViolation(ErrorCode.BAD_CERTIFICATE, detail)


def _check_common(body: certificate.MasterCertificateBody | certificate.HandshakeCertificateBody, what: str) -> None:
    flaw = _common_flaw(body)
    if flaw:
        raise PeerViolation(ErrorCode.BAD_CERTIFICATE, f"{what}: {flaw}")
    check_names(body.handshake_ciphers, f"{what}: handshake_ciphers", ErrorCode.BAD_CERTIFICATE)


def _common_flaw(body: certificate.MasterCertificateBody | certificate.HandshakeCertificateBody) -> str:
    category, begin, end = int(body.category), body.not_before, body.not_after
    if body.version != VERSION:
        return f"version {body.version}"
    if category not in (1, 2, 3):
        return "category"
    if not IDENTITY.fullmatch(body.identity):
        return "identity"
    if end and begin > end:
        return "validity ends before it begins"
    if body.revocation_id >> CATEGORY_SHIFT != category:
        return "category of the revocation ID"
    if category == Category.HUMAN and (not end or end - begin > HUMAN_LIFETIME):
        return f"a human's certificate lasts at most {HUMAN_LIFETIME} s"
    return ""


def _check_master(body: certificate.MasterCertificateBody) -> None:
    _check_common(body, "master certificate")
    _refuse(not IDENTITY.fullmatch(body.issuer), "master certificate: issuer")
    _refuse(len(body.verification_key_id) != DIGEST_SIZE, "master certificate: verification key ID")
    _refuse(body.scheme != certificate.ED25519, "master certificate: signature scheme")
    _refuse(len(body.public_key) != ED25519_KEY_SIZE, "master certificate: public key")
    patterns = body.workload_identities
    if int(body.category) == Category.WORKLOAD:
        fit = 1 <= len(patterns) <= MAX_LIST and all(map(PATTERN.fullmatch, patterns))
        _refuse(not fit, "master certificate: workload identities")
    else:
        _refuse(bool(patterns), "master certificate: workload identities in another category")


def _check_relation(body: certificate.HandshakeCertificateBody, master: certificate.MasterCertificateBody) -> None:
    """Check SPEC 4.8; without the equality of identities another machine's stolen master signs for this one."""
    _refuse(body.category != master.category, "category differs from the master's")
    if int(body.category) == Category.WORKLOAD:
        named = any(matches(pattern, body.identity) for pattern in master.workload_identities)
        _refuse(not named, "identity is outside the master's workload identities")
    else:
        _refuse(body.identity != master.identity, "identity differs from the master's")
    if int(body.category) == Category.HUMAN:
        _refuse(body.revocation_id != master.revocation_id, "revocation ID differs from the master's")
    _refuse(not set(body.handshake_ciphers) <= set(master.handshake_ciphers), "ciphers beyond the master's")
    starts_early = body.not_before < master.not_before
    ends_late = bool(master.not_after) and not 0 < body.not_after <= master.not_after
    _refuse(starts_early or ends_late, "validity is not inside the master's")


_PARSED: dict[bytes, Certificate] = {}
"""By encoding: certificates of peers whose Finished was right; they are the same from one handshake to the next."""


def parse_certificate(raw: bytes) -> Certificate:
    """Decode a handshake certificate and check everything that needs no key, clock or configuration.

    Args:
        raw: a serialised HandshakeCertificate, at most 8192 bytes.

    Raises:
        PeerViolation: BAD_CERTIFICATE (SPEC 4.9, step 1).
    """
    return _PARSED.get(raw) or _new_certificate(raw)


def remember_certificate(certificate: Certificate) -> None:
    """Keep what `parse_certificate` made, once its sender is authenticated (SPEC 11.1)."""
    if certificate.raw not in _PARSED:
        remember(_PARSED, certificate.raw, certificate)


def _new_certificate(raw: bytes) -> Certificate:
    _refuse(len(raw) > MAX_CERTIFICATE_SIZE, f"certificate of {len(raw)} bytes")
    signed = decode_credential(certificate.HandshakeCertificate, raw)
    body = decode_credential(certificate.HandshakeCertificateBody, signed.body)
    master = decode_credential(certificate.MasterCertificate, signed.master)
    master_body = decode_credential(certificate.MasterCertificateBody, master.body)
    for signature in (signed.signature, master.signature):
        _refuse(len(signature) != ED25519_SIGNATURE_SIZE, "signature is not 64 bytes")
    _check_master(master_body)
    _check_common(body, "handshake certificate")
    _refuse(len(body.x25519_public_key) != ED25519_KEY_SIZE, "X25519 public key is not 32 bytes")
    _refuse(not BOUNDARY.fullmatch(body.boundary), "boundary")
    _refuse(body.master_digest != hashlib.sha256(signed.master).digest(), "digest of the master certificate")
    _check_relation(body, master_body)
    validity = (
        ("master", master_body.not_before, master_body.not_after),
        ("handshake", body.not_before, body.not_after),
    )
    owner = Peer(
        identity=body.identity,
        category=Category(int(body.category)),
        issuer=master_body.issuer,
        boundary=body.boundary,
        revocation_ids=(body.revocation_id, master_body.revocation_id),
        not_after=min(body.not_after, master_body.not_after) or max(body.not_after, master_body.not_after),
        certificate_digest=hashlib.sha256(raw).digest(),
        verification_key_id=master_body.verification_key_id,
    )
    ciphers = tuple(body.handshake_ciphers)
    return Certificate(raw, signed, body, master, master_body, owner, body.x25519_public_key, ciphers, validity)


def _verify_signature(key: bytes, signature: bytes, message: bytes, what: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise PeerViolation(ErrorCode.BAD_SIGNATURE, f"signature of the {what} certificate") from None


def verify_certificate(
    raw: bytes | Certificate, trust: Trust, now: int, *, role: Role, targets: frozenset[str]
) -> Certificate:
    """Verify a peer's handshake certificate in the order of SPEC 4.9 (TRUST-1, CRED-4, POLICY-2, REVOKE-6).

    Args:
        raw: the certificate as received, or parsed.
        trust: what this endpoint believes.
        now: seconds since the epoch.
        role: the role of the certificate's owner; a human is no server.
        targets: identities that are acceptable; empty: every one.

    Raises:
        PeerViolation: with the code of the first step that fails.
    """
    cert = raw if isinstance(raw, Certificate) else parse_certificate(raw)
    owner = cert.owner
    key = trust.verification_keys.get(owner.verification_key_id)
    if key is None:
        raise PeerViolation(ErrorCode.UNKNOWN_AUTHORITY, "verification key is not among the trust anchors")
    for what, not_before, not_after in cert.validity:
        if now < not_before or (not_after and now >= not_after):
            raise PeerViolation(ErrorCode.CERTIFICATE_EXPIRED, f"{what} certificate is not valid now")
    if trust.verified is None or not trust.verified.known(owner.certificate_digest, key):
        _verify_signature(key, cert.master.signature, MASTER_CONTEXT + cert.master.body, "master")
        _verify_signature(
            cert.master_body.public_key, cert.signed.signature, HANDSHAKE_CONTEXT + cert.signed.body, "handshake"
        )
        if trust.verified is not None:
            trust.verified.remember(owner.certificate_digest, key)
    if role is Role.SERVER and owner.category == Category.HUMAN:
        raise PeerViolation(ErrorCode.CATEGORY_REFUSED, "a human is no server")
    if not trust.policy.allows(owner.issuer, owner.category, owner.identity):
        raise PeerViolation(ErrorCode.POLICY_DENIED, f"{owner.issuer!r} may not issue for {owner.identity!r}")
    for what, revocation_id in zip(("handshake", "master"), owner.revocation_ids, strict=True):
        if trust.is_revoked(revocation_id) is not False:
            raise PeerViolation(ErrorCode.CERTIFICATE_REVOKED, f"{what} certificate {revocation_id:#018x}")
    if targets and owner.identity not in targets:
        raise PeerViolation(ErrorCode.WRONG_IDENTITY, f"{owner.identity!r} is not a target identity")
    return cert
