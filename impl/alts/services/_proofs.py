"""Proof of possession, and the bootstrap's authentication under a token (SPEC 13.1.3, 13.1.6).

The owner of a new master key signs a `KeyRequest` that names who may have the key certified and the connection on which
it asks. So nobody has another's key certified, with himself as issuer or for another identity.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import DecodeError

from alts_schema.certificate_pb2 import ED25519
from alts_schema.certificate_pb2 import Category as WireCategory
from alts_schema.issuance_pb2 import EnrolRequest, EnrolResponse, KeyRequest, ProvenKey

from .._messages import DIGEST_SIZE, HANDSHAKE_CIPHERS, VERSION
from .._names import IDENTITY, MAX_LIST, NAME, PATTERN
from .._trust import ED25519_KEY_SIZE, ED25519_SIGNATURE_SIZE, Category
from ._errors import RequestRefused, Status, invalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from google.protobuf.message import Message

PROOF_CONTEXT = b"openalts v1 proof of possession\x00"
_ENROLMENT_BINDING = b"openalts v1 enrolment\x00"
_ENROLMENT_REQUEST = b"openalts v1 enrolment request\x00"
_ENROLMENT_RESPONSE = b"openalts v1 enrolment response\x00"
TOKEN_SIZE, TOKEN_ID_SIZE, NONCE_SIZE = 32, 16, 32

MessageT = TypeVar("MessageT", bound="Message")


def decode(kind: type[MessageT], raw: bytes) -> MessageT:
    """Parse a message that has to be in canonical encoding (SPEC 4.2).

    Raises:
        RequestRefused: INVALID_ARGUMENT.
    """
    try:
        message = kind.FromString(raw)
    except DecodeError:
        raise invalid(f"not a {kind.DESCRIPTOR.name}") from None
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != raw:
        raise invalid(f"{kind.DESCRIPTOR.name} is not in canonical encoding")
    return message


def prove(
    key: Ed25519PrivateKey,
    *,
    category: Category,
    identity: str,
    requester: str,
    binding: bytes,
    handshake_ciphers: tuple[str, ...] = HANDSHAKE_CIPHERS,
    workload_identities: tuple[str, ...] = (),
) -> ProvenKey:
    """Ask for a certificate for `key`: a request, and its signature with the key (SPEC 13.1.3).

    Args:
        key: the new master key.
        category: of the certificate.
        identity: whose certificate it is to be.
        requester: who may have it certified.
        binding: transcript hash of the connection that it is sent on, 32 bytes.
        handshake_ciphers: of the certificate.
        workload_identities: patterns, for WORKLOAD.
    """
    request = KeyRequest(
        version=VERSION,
        category=WireCategory.Name(category),
        identity=identity,
        requester=requester,
        scheme=ED25519,
        public_key=key.public_key().public_bytes_raw(),
        handshake_ciphers=handshake_ciphers,
        workload_identities=workload_identities,
        binding=binding,
    ).SerializeToString(deterministic=True)
    return ProvenKey(request=request, proof=key.sign(PROOF_CONTEXT + request))


def check_proof(key: ProvenKey, *, requester: str, binding: bytes | None = None) -> KeyRequest:
    """Return the request that the owner of the key signed.

    Args:
        key: as received.
        requester: who may have the key certified: for a requester, itself; for the Signing Service, its caller.
        binding: of the connection that it came on; None at the Signing Service, which is not the owner's peer.

    Raises:
        RequestRefused: malformed, for another requester, from another connection, or not signed with the key.
    """
    if ProvenKey(request=key.request, proof=key.proof).ByteSize() != key.ByteSize():
        raise invalid("proof of possession: more came with it")  # it is kept, and told from others, as a whole
    request = decode(KeyRequest, key.request)
    _check_syntax(request)
    if request.requester != requester:
        raise RequestRefused(Status.UNAUTHENTICATED, "proof of possession: it names another requester")
    if binding is not None and not hmac.compare_digest(request.binding, binding):
        raise RequestRefused(Status.UNAUTHENTICATED, "proof of possession: it was made on another connection")
    if len(key.proof) != ED25519_SIGNATURE_SIZE:
        raise invalid("proof of possession is not 64 bytes")
    try:
        Ed25519PublicKey.from_public_bytes(request.public_key).verify(key.proof, PROOF_CONTEXT + key.request)
    except (InvalidSignature, ValueError):
        raise RequestRefused(Status.UNAUTHENTICATED, "proof of possession: the signature is wrong") from None
    return request


def _check_syntax(request: KeyRequest) -> None:
    ciphers, patterns = request.handshake_ciphers, request.workload_identities
    wanted = range(1, MAX_LIST + 1) if int(request.category) == Category.WORKLOAD else range(1)
    for right, what in (
        (request.version == VERSION, "version"),
        (int(request.category) in set(Category), "category"),
        (IDENTITY.fullmatch(request.identity), "identity"),
        (request.scheme == ED25519 and len(request.public_key) == ED25519_KEY_SIZE, "public key"),
        (1 <= len(ciphers) <= MAX_LIST and len(set(ciphers)) == len(ciphers), "handshake ciphers"),
        (all(map(NAME.fullmatch, ciphers)), "handshake ciphers"),
        (len(patterns) in wanted and all(map(PATTERN.fullmatch, patterns)), "workload identities"),
        (len(request.binding) == DIGEST_SIZE, "binding"),
    ):
        if not right:
            raise invalid(f"key request: {what}")


def enrolment_binding(token_id: bytes, nonce: bytes) -> bytes:
    """Return what stands for a transcript hash where there is no connection of ours, 32 bytes."""
    return hashlib.sha256(_ENROLMENT_BINDING + token_id + nonce).digest()


def enrolment_request_mac(token: bytes, request: EnrolRequest) -> bytes:
    """Return the MAC of a request, 32 bytes: only who was given the token can make it."""
    parts = request.token_id, request.nonce, request.key.request, request.key.proof
    return _mac(token, _ENROLMENT_REQUEST, parts)


def enrolment_response_mac(token: bytes, request: EnrolRequest, response: EnrolResponse) -> bytes:
    """Return the MAC of a response, 32 bytes; it belongs to that request."""
    return _mac(token, _ENROLMENT_RESPONSE, (request.mac, response.master.certificate))


def _mac(token: bytes, context: bytes, parts: tuple[bytes, ...]) -> bytes:
    return hmac.digest(token, context + b"".join(len(p).to_bytes(4, "big") + p for p in parts), "sha256")
