"""Bytes to messages and back: frames, canonical Protocol Buffers (SPEC.md 4.2), syntax (5.2), order of checks (5.3)."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar, cast

from google.protobuf.message import DecodeError, Message

from alts_model.ciphers import CIPHERS
from alts_model.errors import Refused
from alts_model.messages import (
    FRAME_TYPES,
    HUMAN,
    MACHINE,
    WORKLOAD,
    Alert,
    CertificateView,
    ClientInit,
    Finished,
    IssuedTicket,
    MasterView,
    PresentedTicket,
    RpcRange,
    ServerInit,
)
from alts_model.primitives import sha256
from alts_model.stores import Contents, Session, SessionParty
from alts_model.syntax import MAX_FRAME_SIZE, MIN_FRAME_SIZE, is_list
from alts_model.tables import Role
from alts_schema import certificate_pb2, handshake_pb2, ticket_pb2

MAX_CERTIFICATE = 8192

P = TypeVar("P", bound=Message)


def frame(input_name: str, payload: bytes) -> bytes:
    """One frame (SPEC.md 3.1) of the type that belongs to an input name."""
    return frame_of_type(FRAME_TYPES[input_name], payload)


def frame_of_type(number: int, payload: bytes) -> bytes:
    """One frame of any type."""
    return (len(payload) + 4).to_bytes(4, "little") + number.to_bytes(4, "little") + payload


def is_canonical(message: Message, data: bytes) -> bool:
    """Whether `data`, which parsed to `message`, is its canonical encoding. Drops the message's unknown fields."""
    message.DiscardUnknownFields()
    return message.SerializeToString(deterministic=True) == data


def _parse(message: P, data: bytes) -> P:
    try:
        message.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError):
        raise Refused("DECODE_ERROR", "the bytes do not parse") from None
    if getattr(message, "version", 1) != 1:
        raise Refused("UNSUPPORTED_VERSION")
    if not is_canonical(message, data):
        raise Refused("DECODE_ERROR", "not canonical")
    return message


def _require(condition: bool, detail: str) -> None:
    if not condition:
        raise Refused("ILLEGAL_PARAMETER", detail)


def _rpc_range(has: bool, versions: handshake_pb2.RpcVersions) -> RpcRange:
    _require(has and versions.HasField("max") and versions.HasField("min"), "rpc_versions")
    highest, lowest = (versions.max.major, versions.max.minor), (versions.min.major, versions.min.minor)
    _require(lowest <= highest, "rpc_versions")
    return highest, lowest


def _presented(ticket: handshake_pb2.PresentedTicket) -> PresentedTicket[bytes]:
    _require(len(ticket.resumption_id) == 16 and ticket.key_epoch >= 1 and 1 <= len(ticket.ticket) <= 4096, "ticket")
    return PresentedTicket(ticket.resumption_id, ticket.key_epoch, ticket.ticket)


def decode_client_init(payload: bytes) -> ClientInit[bytes]:
    """ClientInit after all checks of 5.3. Raises Refused."""
    message = _parse(handshake_pb2.ClientInit(), payload)
    _require(len(message.nonce) == 32, "nonce")
    ciphers = tuple(message.handshake_ciphers)
    for name in ("handshake_ciphers", "record_protocols", "application_protocols"):
        _require(is_list(tuple(getattr(message, name))), name)
    shares = tuple((share.handshake_cipher, share.share) for share in message.key_shares)
    names = [name for name, _ in shares]
    _require(len(shares) <= 16 and len(set(names)) == len(names), "key_shares")
    _require(all(name in ciphers and 1 <= len(share) <= 2048 for name, share in shares), "key_shares")
    sizes = {name: len(share) for name, share in shares}
    _require(
        all(sizes.get(name, 0) == CIPHERS[name].client_share for name in ciphers if name in CIPHERS),
        "a share that is missing, not needed or of another size",
    )
    rpc = _rpc_range(message.HasField("rpc_versions"), message.rpc_versions)
    _require(MIN_FRAME_SIZE <= message.max_frame_size <= MAX_FRAME_SIZE, "max_frame_size")
    _require(len(message.resumption_id) in (0, 16), "resumption_id")
    epochs = tuple(message.ticket_key_epochs)
    _require(len(epochs) <= 8 and all(a < b for a, b in pairwise(epochs)), "ticket_key_epochs")
    _require(not epochs or message.resumption_id != b"", "ticket_key_epochs without resumption_id")
    return ClientInit(
        message.nonce,
        message.certificate,
        ciphers,
        tuple(message.record_protocols),
        shares,
        tuple(message.application_protocols),
        rpc,
        message.max_frame_size,
        message.resumption_id,
        epochs,
        _presented(message.ticket) if message.HasField("ticket") else None,
    )


def decode_server_init(payload: bytes) -> ServerInit[bytes]:
    """ServerInit after all checks of 5.3. Raises Refused."""
    message = _parse(handshake_pb2.ServerInit(), payload)
    _require(len(message.nonce) == 32, "nonce")
    rpc = _rpc_range(message.HasField("rpc_versions"), message.rpc_versions)
    _require(MIN_FRAME_SIZE <= message.max_frame_size <= MAX_FRAME_SIZE, "max_frame_size")
    return ServerInit(
        message.nonce,
        int(message.mode),
        message.certificate or None,
        message.handshake_cipher,
        message.record_protocol,
        message.application_protocol,
        rpc,
        message.max_frame_size,
        message.key_share or None,
        _presented(message.ticket) if message.HasField("ticket") else None,
    )


def decode_finished(payload: bytes, sender: Role) -> Finished[bytes]:
    """ServerFinished or ClientFinished after all checks of 5.3. Raises Refused."""
    kind = handshake_pb2.ServerFinished if sender == "server" else handshake_pb2.ClientFinished
    message = _parse(kind(), payload)
    _require(len(message.authenticator) == 32 and len(message.ticket_authenticator) == 32, "authenticators")
    issued = None
    if message.HasField("ticket"):
        ticket = message.ticket
        _require(len(ticket.resumption_id) == 16 and ticket.key_epoch >= 1, "ticket")
        _require(1 <= len(ticket.ticket) <= 4096 and 1 <= ticket.lifetime_seconds <= 86400, "ticket")
        issued = IssuedTicket(ticket.resumption_id, ticket.key_epoch, ticket.lifetime_seconds, ticket.ticket)
    return Finished(message.authenticator, message.ticket_authenticator, issued)


def decode_alert(payload: bytes) -> Alert:
    """An alert (SPEC.md 5.8). Raises Refused."""
    message = _parse(handshake_pb2.Alert(), payload)
    if message.code == 0:
        raise Refused("DECODE_ERROR", "an alert without a code")
    return Alert(message.code)


def _rpc_message(versions: RpcRange) -> handshake_pb2.RpcVersions:
    (max_major, max_minor), (min_major, min_minor) = versions
    return handshake_pb2.RpcVersions(
        max=handshake_pb2.Version(major=max_major, minor=max_minor),
        min=handshake_pb2.Version(major=min_major, minor=min_minor),
    )


def encode(message: ClientInit[bytes] | ServerInit[bytes] | Alert) -> bytes:
    """The canonical payload of ClientInit, ServerInit or an alert."""
    return to_schema(message).SerializeToString(deterministic=True)


def encode_finished(message: Finished[bytes]) -> bytes:
    """The canonical payload of either Finished; both have the same fields."""
    result = handshake_pb2.ServerFinished(
        authenticator=message.authenticator, ticket_authenticator=message.ticket_authenticator
    )
    if message.ticket is not None:
        result.ticket.resumption_id = message.ticket.resumption_id
        result.ticket.key_epoch = message.ticket.key_epoch
        result.ticket.lifetime_seconds = message.ticket.lifetime_seconds
        result.ticket.ticket = message.ticket.ticket
    return result.SerializeToString(deterministic=True)


def _presented_message(ticket: PresentedTicket[bytes] | None) -> handshake_pb2.PresentedTicket | None:
    if ticket is None:
        return None
    return handshake_pb2.PresentedTicket(
        resumption_id=ticket.resumption_id, key_epoch=ticket.key_epoch, ticket=ticket.ticket
    )


def to_schema(message: ClientInit[bytes] | ServerInit[bytes] | Alert) -> Message:
    """The Protocol Buffers object of a message."""
    match message:
        case Alert():
            return handshake_pb2.Alert(code=message.code)
        case ClientInit():
            return handshake_pb2.ClientInit(
                version=1,
                nonce=message.nonce,
                certificate=message.certificate,
                handshake_ciphers=message.handshake_ciphers,
                record_protocols=message.record_protocols,
                key_shares=[
                    handshake_pb2.KeyShare(handshake_cipher=name, share=share) for name, share in message.key_shares
                ],
                application_protocols=message.application_protocols,
                rpc_versions=_rpc_message(message.rpc_versions),
                max_frame_size=message.max_frame_size,
                resumption_id=message.resumption_id,
                ticket_key_epochs=message.ticket_key_epochs,
                ticket=_presented_message(message.ticket),
            )
        case ServerInit():
            return handshake_pb2.ServerInit(
                version=1,
                nonce=message.nonce,
                mode=cast(handshake_pb2.Mode, message.mode),
                certificate=message.certificate or b"",
                handshake_cipher=message.handshake_cipher,
                record_protocol=message.record_protocol,
                application_protocol=message.application_protocol,
                rpc_versions=_rpc_message(message.rpc_versions),
                max_frame_size=message.max_frame_size,
                key_share=message.key_share or b"",
                ticket=_presented_message(message.ticket),
            )


def _certificate_part(message: P, data: bytes, what: str) -> P:
    try:
        message.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError):
        raise Refused("BAD_CERTIFICATE", f"{what} does not parse") from None
    if not is_canonical(message, data):
        raise Refused("BAD_CERTIFICATE", f"{what} is not canonical")
    return message


def decode_certificate(data: bytes) -> CertificateView[bytes]:
    """Take a handshake certificate and its master apart (step 1 of SPEC.md 4.9, as far as it is about bytes)."""
    if len(data) > MAX_CERTIFICATE:
        raise Refused("BAD_CERTIFICATE", "larger than 8192 bytes")
    outer = _certificate_part(certificate_pb2.HandshakeCertificate(), data, "handshake certificate")
    body = _certificate_part(certificate_pb2.HandshakeCertificateBody(), outer.body, "handshake certificate body")
    master = _certificate_part(certificate_pb2.MasterCertificate(), outer.master, "master certificate")
    inner = _certificate_part(certificate_pb2.MasterCertificateBody(), master.body, "master certificate body")
    sizes_are_right = (
        body.version == inner.version == 1
        and len(outer.signature) == len(master.signature) == 64
        and len(body.master_digest) == len(body.x25519_public_key) == 32
        and inner.scheme == certificate_pb2.ED25519
        and len(inner.public_key) == len(inner.verification_key_id) == 32
    )
    if not sizes_are_right:
        raise Refused("BAD_CERTIFICATE", "version, scheme or the size of a field")
    return CertificateView(
        int(body.category),
        body.identity,
        body.master_digest,
        body.not_before,
        body.not_after,
        body.revocation_id,
        body.x25519_public_key,
        tuple(body.handshake_ciphers),
        body.boundary,
        outer.body,
        outer.signature,
        MasterView(
            int(inner.category),
            inner.identity,
            inner.issuer,
            inner.verification_key_id,
            inner.not_before,
            inner.not_after,
            inner.revocation_id,
            inner.public_key,
            tuple(inner.handshake_ciphers),
            tuple(inner.workload_identities),
            master.body,
            master.signature,
            sha256(outer.master),
        ),
    )


def _party_message(party: SessionParty[bytes]) -> ticket_pb2.Party:
    return ticket_pb2.Party(
        category=cast(certificate_pb2.Category, party.category),
        identity=party.identity,
        issuer=party.issuer,
        boundary=party.boundary,
        not_after=party.not_after,
        handshake_revocation_id=party.handshake_revocation_id,
        master_revocation_id=party.master_revocation_id,
        certificate_digest=party.certificate_digest,
        verification_key_id=party.verification_key_id,
    )


def _party(message: ticket_pb2.Party) -> SessionParty[bytes]:
    return SessionParty(
        int(message.category),
        message.identity,
        message.issuer,
        message.boundary,
        message.not_after,
        message.handshake_revocation_id,
        message.master_revocation_id,
        message.certificate_digest,
        message.verification_key_id,
    )


def encode_contents(contents: Contents[bytes]) -> bytes:
    """The canonical TicketContents (SPEC.md 12.2)."""
    session, maker = contents.session, contents.maker_role
    return ticket_pb2.TicketContents(
        version=1,
        secret=contents.secret,
        maker=_party_message(session.party(maker)),
        holder=_party_message(session.party("server" if maker == "client" else "client")),
        handshake_cipher=session.handshake_cipher,
        created=contents.created,
        full_handshake=session.full_handshake,
    ).SerializeToString(deterministic=True)


def decode_contents(plaintext: bytes, maker: Role) -> Contents[bytes] | None:
    """The inside of a ticket that an end in the role `maker` made; None if it is none (SPEC.md 12.2).

    Whoever sealed it has the resumption key, so that its encoding is not judged: canonical or not, it is read.
    """
    message = ticket_pb2.TicketContents()
    try:
        message.ParseFromString(plaintext)
    except (DecodeError, UnicodeDecodeError):
        return None
    if message.version != 1 or len(message.secret) != 32 or message.handshake_cipher not in CIPHERS:
        return None
    if any(party.category not in (HUMAN, MACHINE, WORKLOAD) for party in (message.maker, message.holder)):
        return None
    own, other = _party(message.maker), _party(message.holder)
    client, server = (own, other) if maker == "client" else (other, own)
    session = Session(client, server, message.handshake_cipher, message.full_handshake)
    return Contents(message.secret, maker, session, message.created)
