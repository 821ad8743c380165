"""The reference implementation as the vectors see it: `alts` behind `alts_vectors.target.ImplementationUnderTest`.

Whole handshakes go through the public `Connection`. The key schedule, X25519 and the verification of a single
certificate
have no public entry: private modules of `alts` are used for them, which nothing but this adapter and tests may do.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import alts
from alts import _key_schedule, _trust
from alts_schema.handshake_pb2 import IssuedTicket
from alts_vectors.target import (
    CertificateVerdict,
    Completion,
    EndpointSettings,
    Failure,
    OpenResult,
    RoleName,
    StepResult,
)


def trust_of(settings: EndpointSettings) -> alts.Trust:
    """What the endpoint believes."""
    revoked = settings.revoked
    return alts.Trust(
        {hashlib.sha256(key).digest(): key for key in settings.trust_anchors},
        alts.Policy(
            tuple(alts.Rule(issuer, alts.Category(number), identity) for issuer, number, identity in settings.policy)
        ),
        (lambda _: None) if revoked is None else revoked.__contains__,
    )


def configuration_of(settings: EndpointSettings) -> alts.Configuration:
    """Settings as `alts` takes them; its RPC versions are (smallest, largest)."""
    return alts.Configuration(
        credential=alts.Credential(settings.certificate, X25519PrivateKey.from_private_bytes(settings.private_key)),
        trust=trust_of(settings),
        handshake_ciphers=settings.handshake_ciphers,
        record_protocols=settings.record_protocols,
        application_protocols=settings.application_protocols,
        rpc_versions=(settings.rpc_min, settings.rpc_max),
        max_frame_size=settings.max_frame_size,
        target_identities=settings.target_identities,
    )


def environment_of(settings: EndpointSettings) -> alts.Environment:
    """The injected clock, and the injected nonce as the only randomness: any other request for it is a fault."""

    def random(size: int) -> bytes:
        if size != len(settings.nonce):
            raise AssertionError(f"{size} random bytes were asked for; a handshake takes one nonce of 32")
        return settings.nonce

    return alts.Environment(clock=lambda: float(settings.now), random=random)


class Endpoint:
    """`alts.Connection` as an `EndpointUnderTest`."""

    def __init__(self, role: RoleName, settings: EndpointSettings) -> None:
        self.connection = alts.Connection(alts.Role(role), configuration_of(settings), environment_of(settings))

    @property
    def state(self) -> str:
        """Of SPEC 2.1."""
        return str(self.connection.state)

    def start(self) -> StepResult:
        """The client begins."""
        self.connection.start()
        return self._step([])

    def receive(self, data: bytes) -> StepResult:
        """Bytes from the peer."""
        return self._step(self.connection.receive_data(data))

    def end(self) -> StepResult:
        """The peer's stream has ended."""
        return self._step(self.connection.receive_end())

    def send(self, data: bytes) -> StepResult:
        """The application sends."""
        self.connection.send(data)
        return self._step([])

    def close(self) -> StepResult:
        """The application closes."""
        self.connection.close()
        return self._step([])

    def _step(self, events: Sequence[alts.Event]) -> StepResult:
        payload, completed, failed = b"", None, None
        for event in events:
            match event:
                case alts.PayloadReceived(data=data):
                    payload += bytes(data)
                case alts.HandshakeCompleted(peer=peer, negotiated=agreed, evidence=evidence):
                    completed = Completion(
                        peer.identity,
                        int(peer.category),
                        agreed.handshake_cipher,
                        agreed.record_protocol,
                        agreed.application_protocol,
                        agreed.rpc_version,
                        agreed.max_frame_size,
                        evidence.transcript_hash,
                    )
                case alts.ConnectionFailed(error=error):
                    failed = Failure(error.code.name, int(error.code), str(error.state), error.alert_code)
        return StepResult(self.connection.data_to_send(), self.state, payload, completed, failed)


class ReferenceTarget:
    """`alts` as an `ImplementationUnderTest`."""

    @property
    def name(self) -> str:
        """Name and version."""
        return f"alts {importlib.metadata.version('openalts')}"

    def x25519(self, private_key: bytes, public_key: bytes) -> bytes | None:
        """SPEC 7.2."""
        try:
            return _key_schedule.diffie_hellman(X25519PrivateKey.from_private_bytes(private_key), public_key)
        except alts.PeerViolation:
            return None

    def key_schedule(
        self, shared_secret: bytes, client_init: bytes, server_init: bytes, client_identity: str, server_identity: str
    ) -> dict[str, bytes]:
        """SPEC 7.1 to 7.6."""
        th = _key_schedule.transcript_hash(client_init, server_init)
        secrets = _key_schedule.derive_secrets(shared_secret, th, client_identity, server_identity)
        values = {"transcriptHash": th, "M": secrets.record, "R": secrets.resumption, "A": secrets.authenticator}
        for role in alts.Role:
            values[f"{role}Authenticator"] = _key_schedule.finished_authenticator(secrets, role)
            values[f"{role}TicketAuthenticator"] = _key_schedule.ticket_authenticator(secrets, role, None)
        return values

    def ticket_authenticator(
        self, authenticator_secret: bytes, sender: RoleName, ticket: tuple[bytes, int, int, bytes] | None
    ) -> bytes:
        """SPEC 7.6."""
        message = None
        if ticket is not None:
            resumption_id, epoch, lifetime, opaque = ticket
            message = IssuedTicket(
                resumption_id=resumption_id, key_epoch=epoch, lifetime_seconds=lifetime, ticket=opaque
            )
        secrets = alts.Secrets(bytes(128), bytes(32), authenticator_secret)
        return _key_schedule.ticket_authenticator(secrets, alts.Role(sender), message)

    def certificate(self, certificate: bytes, verifier: EndpointSettings, peer_role: RoleName) -> CertificateVerdict:
        """SPEC 4.9."""
        try:
            verified = _trust.verify_certificate(
                certificate,
                trust_of(verifier),
                verifier.now,
                role=alts.Role(peer_role),
                targets=verifier.target_identities,
            )
        except alts.PeerViolation as violation:
            return CertificateVerdict(violation.code.name)
        peer = verified.peer()
        return CertificateVerdict(
            None, peer.identity, int(peer.category), peer.issuer, peer.boundary, peer.revocation_ids, peer.not_after
        )

    def endpoint(self, role: RoleName, settings: EndpointSettings) -> Endpoint:
        """A fresh connection."""
        return Endpoint(role, settings)

    def seal(
        self, record_secret: bytes, sender: RoleName, first_frame: int, max_frame_size: int, plaintexts: Sequence[bytes]
    ) -> tuple[bytes, str | None]:
        """One call of the sealer for each plaintext."""
        sealer = alts.Sealer(record_secret, alts.Role(sender), max_frame_size, first_frame)
        output = b""
        for plaintext in plaintexts:
            try:
                output += sealer.seal(plaintext)
            except alts.FrameLimitError:
                return output, "COUNTER_LIMIT"
        return output, None

    def open(
        self, record_secret: bytes, receiver: RoleName, first_frame: int, max_frame_size: int, data: bytes
    ) -> OpenResult:
        """All of `data` in one call."""
        opener = alts.Opener(record_secret, alts.Role(receiver), max_frame_size, first_frame)
        plaintexts: list[bytes] = []
        try:
            plaintexts.extend(bytes(plaintext) for plaintext in opener.open(data))
        except alts.PeerViolation as violation:
            return OpenResult(tuple(plaintexts), violation.code.name)
        return OpenResult(tuple(plaintexts))


TARGET = ReferenceTarget()
"""What `alts vectors verify` judges unless told otherwise."""
