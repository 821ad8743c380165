"""Issuance by the text of SPEC.md 13.1: proofs of possession, what is signed, ranges and mappings, rotation.

Requirements ISSUE-1 to ISSUE-3, ISSUE-7 to ISSUE-9, REVOKE-3 to REVOKE-5. The services are plain values in memory here;
that they keep their promises though they crash is what `recovery` looks at.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final, cast

from google.protobuf.message import DecodeError

from alts_model.codec import is_canonical
from alts_model.errors import Refused
from alts_model.issuing import ED25519, build_master
from alts_model.messages import HUMAN, MACHINE, WORKLOAD, MasterView
from alts_model.primitives import ed25519_sign, ed25519_verify, hmac_sha256, sha256
from alts_model.stores import TICKET_LIFE
from alts_model.syntax import is_identity, is_list, is_pattern
from alts_model.trust import master_body
from alts_schema import certificate_pb2, issuance_pb2

PROOF_LABEL: Final = "openalts v1 proof of possession"
ENROLMENT_LABEL: Final = "openalts v1 enrolment"
BACKDATE: Final = 300
"""Seconds that a certificate is valid before it was made (SPEC.md 13.1.8)."""
ROTATION: Final = 172800
BASE_LIFETIME: Final = 345600
MAX_EPOCHS: Final = 8
FIRST_ID: Final = 1 << 16
MAX_RANGE: Final = 1 << 20


class Declined(Exception):
    """A service declines a request; the argument is the gRPC status (SPEC.md 13.1.2)."""

    def __init__(self, status: str, detail: str = "") -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class KeyText:
    """What the owner of a new master key signs (SPEC.md 13.1.3)."""

    category: int
    identity: str
    requester: str
    public_key: bytes
    handshake_ciphers: tuple[str, ...]
    workload_identities: tuple[str, ...]
    binding: bytes
    version: int = 1
    scheme: int = ED25519

    def encode(self) -> bytes:
        """The canonical KeyRequest."""
        return issuance_pb2.KeyRequest(
            version=self.version,
            category=cast(certificate_pb2.Category, self.category),
            identity=self.identity,
            requester=self.requester,
            scheme=cast(certificate_pb2.SignatureScheme, self.scheme),
            public_key=self.public_key,
            handshake_ciphers=self.handshake_ciphers,
            workload_identities=self.workload_identities,
            binding=self.binding,
        ).SerializeToString(deterministic=True)


def prove(seed: bytes, request: bytes) -> bytes:
    """The proof over the bytes of a KeyRequest with the private half of its key; 64 bytes."""
    return ed25519_sign(seed, PROOF_LABEL.encode() + b"\x00" + request)


def check_key(request: bytes, proof: bytes, requester: str, binding: bytes | None) -> KeyText:
    """What the owner asks for; `binding` None: at the Signing Service, which is not the owner's peer. Raises Declined.

    In the order of SPEC.md 13.1.3: form, requester, connection, signature.
    """
    message = issuance_pb2.KeyRequest()
    try:
        message.ParseFromString(request)
    except (DecodeError, UnicodeDecodeError):
        raise Declined("INVALID_ARGUMENT", "does not parse") from None
    if not is_canonical(message, request):
        raise Declined("INVALID_ARGUMENT", "not canonical")
    text = KeyText(
        int(message.category),
        message.identity,
        message.requester,
        message.public_key,
        tuple(message.handshake_ciphers),
        tuple(message.workload_identities),
        message.binding,
        message.version,
        int(message.scheme),
    )
    patterns = len(text.workload_identities)
    formed = (
        text.version == 1
        and text.category in (HUMAN, MACHINE, WORKLOAD)
        and is_identity(text.identity)
        and text.scheme == ED25519
        and len(text.public_key) == len(text.binding) == 32
        and is_list(text.handshake_ciphers)
        and (1 <= patterns <= 16 if text.category == WORKLOAD else not patterns)
        and all(map(is_pattern, text.workload_identities))
    )
    if not formed:
        raise Declined("INVALID_ARGUMENT", "a field of the request")
    if text.requester != requester:
        raise Declined("UNAUTHENTICATED", "another requester")
    if binding is not None and text.binding != binding:
        raise Declined("UNAUTHENTICATED", "another connection")
    if len(proof) != 64:
        raise Declined("INVALID_ARGUMENT", "the proof's size")
    if not ed25519_verify(text.public_key, PROOF_LABEL.encode() + b"\x00" + request, proof):
        raise Declined("UNAUTHENTICATED", "the signature")
    return text


@dataclass(frozen=True, slots=True)
class Asked:
    """A SignMasterRequest: a proven key, and what the issuer adds to it."""

    request: bytes
    proof: bytes
    not_before: int
    not_after: int
    revocation_id: int


@dataclass(slots=True)
class SigningModel:
    """The Signing Service: `seed` is its key; it remembers which certificate came of which proof (SPEC.md 13.1.4)."""

    seed: bytes = field(repr=False)
    made: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)

    def sign(self, asked: Asked, requester: str) -> bytes:
        """The master certificate for an authenticated caller, who becomes its issuer (ISSUE-2). Raises Declined."""
        key = check_key(asked.request, asked.proof, requester, None)
        certificate = build_master(
            self.seed,
            category=key.category,
            identity=key.identity,
            issuer=requester,
            public_key=key.public_key,
            revocation_id=asked.revocation_id,
            not_before=asked.not_before,
            not_after=asked.not_after,
            handshake_ciphers=key.handshake_ciphers,
            workload_identities=key.workload_identities,
        )
        try:
            master_body(_view(certificate))
        except Refused as refusal:
            raise Declined("INVALID_ARGUMENT", refusal.detail) from None
        if self.made.setdefault((asked.request, asked.proof), certificate) != certificate:
            raise Declined("ALREADY_EXISTS", "this proof was used for another certificate")
        return certificate


def _view(certificate: bytes) -> MasterView[bytes]:
    outer, body = certificate_pb2.MasterCertificate(), certificate_pb2.MasterCertificateBody()
    for message, raw in ((outer, certificate), (body, None)):
        data = outer.body if raw is None else raw
        try:
            message.ParseFromString(data)
        except (DecodeError, UnicodeDecodeError):
            raise Refused("BAD_CERTIFICATE", "does not parse") from None
        if not is_canonical(message, data):
            raise Refused("BAD_CERTIFICATE", "not canonical")
    sized = len(outer.signature) == 64 and len(body.public_key) == len(body.verification_key_id) == 32
    if not sized or body.version != 1 or body.scheme != ED25519:
        raise Refused("BAD_CERTIFICATE", "version, scheme or the size of a field")
    return MasterView(
        int(body.category),
        body.identity,
        body.issuer,
        body.verification_key_id,
        body.not_before,
        body.not_after,
        body.revocation_id,
        body.public_key,
        tuple(body.handshake_ciphers),
        tuple(body.workload_identities),
        outer.body,
        outer.signature,
        sha256(certificate),
    )


def accept_answer(asked: Asked, requester: str, certificate: bytes) -> bytes:
    """The digest that the issuer reports, if the certificate is the one it asked for (ISSUE-3). Raises Declined."""
    key = check_key(asked.request, asked.proof, requester, None)
    try:
        found = _view(certificate)
        master_body(found)
    except Refused as refusal:
        raise Declined("INTERNAL", refusal.detail) from None
    wanted = (key.category, key.identity, requester, key.public_key, key.handshake_ciphers, key.workload_identities)
    given = (found.category, found.identity, found.issuer, found.public_key, found.handshake_ciphers)
    times = (asked.not_before, asked.not_after, asked.revocation_id)
    if (*given, found.workload_identities) != wanted or (
        (found.not_before, found.not_after, found.revocation_id) != times
    ):
        raise Declined("INTERNAL", "another certificate than the one that was asked for")
    return sha256(certificate)


@dataclass(slots=True)
class RevocationModel:
    """The CRL service: who has which range, which certificate has which ID, which are revoked when (SPEC.md 13.1.10).

    `ca` renews machines, also those of the founding, whose IDs are of no range (SPEC.md 13.1.5).
    """

    issuers: Collection[str]
    ranges: list[tuple[int, int, str]] = field(default_factory=list)
    mappings: dict[int, bytes] = field(default_factory=dict)
    ca: str = ""
    revoked: dict[int, int] = field(default_factory=dict)

    def grant(self, caller: str, count: int) -> tuple[int, int]:
        """A range of certificate IDs that nobody had before: first, count (REVOKE-3). Raises Declined."""
        if caller not in self.issuers:
            raise Declined("PERMISSION_DENIED")
        if not 1 <= count <= MAX_RANGE:
            raise Declined("INVALID_ARGUMENT")
        first = max([FIRST_ID, *(first + many for first, many, _ in self.ranges)])
        self.ranges.append((first, count, caller))
        return first, count

    def report(self, caller: str, revocation_id: int, digest: bytes, replaces: int = 0, revoke_at: int = 0) -> None:
        """A mapping, once or again (REVOKE-4), and an ID that is revoked from `revoke_at` on. Raises Declined."""
        if len(digest) != 32:
            raise Declined("INVALID_ARGUMENT")
        if not self._owns(caller, revocation_id):
            raise Declined("PERMISSION_DENIED")
        if self.mappings.get(revocation_id, digest) != digest:
            raise Declined("ALREADY_EXISTS")
        founded = replaces >> 56 == MACHINE and 0 < replaces & (1 << 56) - 1 < FIRST_ID
        if replaces and not (self._owns(caller, replaces) or (caller == self.ca and founded)):
            raise Declined("PERMISSION_DENIED")
        self.mappings[revocation_id] = digest
        if replaces:
            self.revoked[replaces] = min(revoke_at, self.revoked.get(replaces, revoke_at))

    def _owns(self, caller: str, revocation_id: int) -> bool:
        number, category = revocation_id & (1 << 56) - 1, revocation_id >> 56
        owned = any(first <= number < first + many for first, many, issuer in self.ranges if issuer == caller)
        return owned and category in (HUMAN, MACHINE, WORKLOAD)


@dataclass(slots=True)
class ClusterModel:
    """What a cluster master rotates (SPEC.md 13.1.9): the base master, certificates, resumption keys (ISSUE-8, -9).

    `workloads` maps a name to identity, begin and end of its certificate; `keys` an identity to epoch and creation.
    """

    rotation: int = ROTATION
    lifetime: int = BASE_LIFETIME
    overlap: int = TICKET_LIFE
    base: tuple[int, int] | None = None
    """When it was asked for, and its end."""
    count: int = 0
    workloads: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    keys: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    ends: dict[str, list[int]] = field(default_factory=dict)
    """Of all certificates that a workload was ever given, in order."""
    revoked: set[tuple[str, int]] = field(default_factory=set)
    """Which of them are: the workload, and where in `ends`."""

    def due(self, now: int) -> bool:
        """Whether everything is to be rotated: by age, or since the clock that made the base master was ahead."""
        return self.base is None or not -BACKDATE <= now - self.base[0] < self.rotation

    def rotate(self, now: int) -> None:
        """A new base master; every running workload gets a certificate under it, every key a successor."""
        self.base, self.count = (now, now + self.lifetime), self.count + 1
        for name, (identity, _, _) in list(self.workloads.items()):
            self._issue(name, identity, now - BACKDATE, now + self.lifetime)
        for identity in self.keys:
            self._next_key(identity, now)

    def schedule(self, name: str, identity: str, now: int) -> None:
        """A workload starts. Raises Declined if there is no base master in force."""
        if self.base is None or not self.base[0] - BACKDATE <= now < self.base[1]:
            raise Declined("UNAVAILABLE")
        begin = max(self.base[0] - BACKDATE, now - BACKDATE)
        self._issue(name, identity, begin, self.base[1])
        if identity not in self.keys:
            self._next_key(identity, now)

    def stop(self, name: str, now: int) -> None:
        """A workload ends: its last certificate is revoked, and every other that may be valid for anybody."""
        del self.workloads[name]
        last = len(self.ends[name]) - 1
        self.revoked |= {(name, n) for n, end in enumerate(self.ends[name]) if n == last or now < end + BACKDATE}

    def copy(self) -> ClusterModel:
        """An independent one in the same state."""
        keys = {identity: list(held) for identity, held in self.keys.items()}
        ends = {name: list(had) for name, had in self.ends.items()}
        return replace(self, workloads=dict(self.workloads), keys=keys, ends=ends, revoked=set(self.revoked))

    def _issue(self, name: str, identity: str, begin: int, end: int) -> None:
        self.workloads[name] = (identity, begin, end)
        self.ends.setdefault(name, []).append(end)

    def _next_key(self, identity: str, now: int) -> None:
        """Add an epoch; one stays until tickets made under it before its successor was made are dead."""
        held = self.keys.setdefault(identity, [])
        kept = [
            key for index, key in enumerate(held) if index == len(held) - 1 or now < held[index + 1][1] + self.overlap
        ]
        newest = held[-1][0] if held else 0
        self.keys[identity] = [*kept, (newest + 1, now)][-MAX_EPOCHS:]


def enrolment_binding(token_id: bytes, nonce: bytes) -> bytes:
    """What stands for a transcript hash at first contact; 32 bytes (SPEC.md 13.1.6)."""
    return sha256(ENROLMENT_LABEL.encode() + b"\x00" + token_id + nonce)


def enrolment_macs(
    token: bytes, token_id: bytes, nonce: bytes, request: bytes, proof: bytes, certificate: bytes
) -> tuple[bytes, bytes]:
    """The MACs of request and answer under a token; 32 bytes each (SPEC.md 13.1.6)."""

    def over(what: str, *parts: bytes) -> bytes:
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac_sha256(token, f"{ENROLMENT_LABEL} {what}".encode() + b"\x00" + text)

    asked = over("request", token_id, nonce, request, proof)
    return asked, over("response", asked, certificate)
