"""The reference implementation as the vectors see it: `alts` behind `alts_vectors.target.ImplementationUnderTest`.

Whole handshakes go through the public `Connection`. The key schedule, X25519, tickets and the verification of a single
certificate have no public entry: private modules of `alts` are used for them, which nothing but this adapter and tests
may do.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from kyber_py.ml_kem import ML_KEM_768

import alts
from alts import _key_schedule, _tickets, _trust, policy, revocation
from alts._contents import Ticket
from alts._messages import SHARE_SIZES
from alts_vectors.target import (
    CertificateVerdict,
    Completion,
    EndpointSettings,
    Failure,
    FileVerdict,
    OpenResult,
    ResumptionSettings,
    RoleName,
    StepResult,
    TicketParty,
    TicketText,
)

from ._vector_services import ServicesTarget


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


def configuration_of(settings: EndpointSettings, resumption: alts.Resumption | None = None) -> alts.Configuration:
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
        resumption=resumption,
    )


def keys_of(resumption: ResumptionSettings) -> alts.ResumptionKeys | None:
    """Resumption keys as `alts` takes them; None where there are none."""
    return alts.ResumptionKeys(resumption.resumption_id, dict(resumption.keys)) if resumption.keys else None


class Draws:
    """The clock and the randomness of one endpoint: nonce and queues; to ask for anything else is a fault.

    `alts` draws from one source. What it draws, and in which order, depends on its ciphers: at a client the nonce, then
    the private keys for each share; at a server the nonce, then a private key if the chosen cipher has a share; at last
    whoever makes a ticket its salt.
    """

    def __init__(self, role: RoleName, settings: EndpointSettings) -> None:
        self._role = role
        self._settings = settings
        self._fixed = [settings.nonce]
        self._encapsulations = list(settings.randomness.encapsulations)
        self.connection: alts.Connection | None = None
        """Set before the first draw; a server's choice of cipher is read from it."""
        if role == "client":
            self._fixed += self._shares(settings.handshake_ciphers)
            self._fixed += settings.randomness.ticket_salts

    @property
    def environment(self) -> alts.Environment:
        """What `alts` takes."""
        return alts.Environment(lambda: float(self._settings.now), self._random, encapsulate=self._encapsulate)

    def _shares(self, ciphers: Sequence[str]) -> list[bytes]:
        keys, seeds = iter(self._settings.randomness.x25519), iter(self._settings.randomness.ml_kem_seeds)
        found: list[bytes] = []
        for cipher in ciphers:
            if SHARE_SIZES[cipher][0]:
                found.append(next(keys))
                found += [next(seeds)] if cipher == "X25519_MLKEM768_PFS_SHA256" else []
        return found

    def _random(self, size: int) -> bytes:
        if not self._fixed and self._role == "server":
            assert self.connection is not None
            chosen = self.connection._handshake._negotiated
            assert chosen is not None
            own = self._settings.randomness
            self._fixed += own.x25519[: 1 if SHARE_SIZES[chosen.handshake_cipher][1] else 0]
            self._fixed += own.ticket_salts
            self._role = "client"  # nothing is added any more
        if not self._fixed or len(self._fixed[0]) != size:
            raise AssertionError(f"{size} random bytes were asked for that the settings do not have")
        return self._fixed.pop(0)

    def _encapsulate(self, key: bytes) -> tuple[bytes, bytes]:
        secret, ciphertext = ML_KEM_768._encaps_internal(_checked(key), self._encapsulations.pop(0))
        return bytes(secret), bytes(ciphertext)


def _checked(key: bytes) -> bytes:
    """An encapsulation key that the implementation's own library takes: it makes the modulus check of FIPS 203."""
    _key_schedule.encapsulate(key)
    return key


def environment_of(settings: EndpointSettings) -> alts.Environment:
    """Clock and nonce of an endpoint that draws nothing else."""
    return Draws("client", settings).environment


class Endpoint:
    """`alts.Connection` as an `EndpointUnderTest`."""

    def __init__(self, role: RoleName, settings: EndpointSettings, resumption: alts.Resumption | None = None) -> None:
        draws = Draws(role, settings)
        self.connection = alts.Connection(alts.Role(role), configuration_of(settings, resumption), draws.environment)
        draws.connection = self.connection

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
                        agreed.mode,
                    )
                case alts.ConnectionFailed(error=error):
                    failed = Failure(error.code.name, int(error.code), str(error.state), error.alert_code)
        return StepResult(self.connection.data_to_send(), self.state, payload, completed, failed)


class Process:
    """`alts.Resumption` as a `ProcessUnderTest`."""

    def __init__(self, settings: ResumptionSettings) -> None:
        self.resumption = alts.Resumption(
            keys_of(settings), server_tickets_with_pfs=settings.forward_secret_server_tickets
        )

    def endpoint(self, role: RoleName, settings: EndpointSettings) -> Endpoint:
        """A fresh connection of this process."""
        return Endpoint(role, settings, self.resumption)


def _party(party: TicketParty) -> alts.Peer:
    return alts.Peer(
        identity=party.identity,
        category=alts.Category(party.category),
        issuer=party.issuer,
        boundary=party.boundary,
        revocation_ids=party.revocation_ids,
        not_after=party.not_after,
        certificate_digest=party.certificate_digest,
        verification_key_id=party.verification_key_id,
    )


def _ticket_party(peer: alts.Peer) -> TicketParty:
    return TicketParty(
        int(peer.category),
        peer.identity,
        peer.issuer,
        peer.boundary,
        peer.not_after,
        peer.revocation_ids,
        peer.certificate_digest,
        peer.verification_key_id,
    )


_REFUSED = {
    policy.FileNotSigned: "not signed",
    policy.FileTruncated: "truncated",
    policy.FileDamaged: "damaged",
    policy.FileUnknownKey: "unknown key",
    policy.FileBadSignature: "bad signature",
    policy.FileWrongDeployment: "wrong deployment",
}


class ReferenceTarget(ServicesTarget):
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
        mac = _key_schedule.keyed(secrets.authenticator)
        for role in alts.Role:
            values[f"{role}Authenticator"] = _key_schedule.finished_authenticator(mac, role)
            values[f"{role}TicketAuthenticator"] = _key_schedule.ticket_authenticator(mac, role, None)
        return values

    def ticket_authenticator(
        self, authenticator_secret: bytes, sender: RoleName, ticket: tuple[bytes, int, int, bytes] | None
    ) -> bytes:
        """SPEC 7.6."""
        message = None
        if ticket is not None:
            resumption_id, epoch, lifetime, opaque = ticket
            message = Ticket(resumption_id, epoch, opaque, lifetime)
        return _key_schedule.ticket_authenticator(_key_schedule.keyed(authenticator_secret), alts.Role(sender), message)

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

    def process(self, resumption: ResumptionSettings) -> Process:
        """Fresh stores."""
        return Process(resumption)

    def policy(self, rules: Sequence[tuple[str, int, str]], issuer: str, category: int, identity: str) -> bool | None:
        """SPEC 4.10."""
        try:
            made = alts.Policy(tuple(alts.Rule(rule[0], alts.Category(rule[1]), rule[2]) for rule in rules))
        except alts.ConfigurationError:
            return None
        return made.allows(issuer, category, identity)

    def ticket_secret(self, resumption_secret: bytes, maker: RoleName) -> bytes:
        """SPEC 12.3."""
        return _key_schedule.ticket_secret(resumption_secret, alts.Role(maker))

    def seal_ticket(self, resumption: ResumptionSettings, maker: RoleName, text: TicketText, salt: bytes) -> bytes:
        """SPEC 12.2."""
        keys = keys_of(resumption)
        assert keys is not None
        session = alts.Session(
            text.secret,
            _party(text.holder),
            _party(text.maker),
            text.handshake_cipher,
            text.created,
            text.full_handshake,
        )
        return _tickets.seal_ticket(keys, alts.Role(maker), session, lambda size: salt[:size])[1]

    def open_ticket(
        self,
        resumption: ResumptionSettings,
        maker: RoleName,
        identity: str,
        resumption_id: bytes,
        epoch: int,
        ticket: bytes,
    ) -> TicketText | None:
        """SPEC 12.2."""
        keys = keys_of(resumption)
        assert keys is not None
        session = _tickets.open_ticket(keys, alts.Role(maker), identity, resumption_id, epoch, ticket)
        if session is None:
            return None
        ends = _ticket_party(session.own), _ticket_party(session.peer)
        return TicketText(session.secret, *ends, session.handshake_cipher, session.created, session.full_handshake)

    def policy_file(self, data: bytes, keys: Sequence[bytes], deployment: str) -> FileVerdict:
        """A fresh `PolicyStore`."""
        with tempfile.TemporaryDirectory() as name:
            store = policy.PolicyStore(Path(name), keys=keys, deployment=deployment, clock=lambda: 0.0)
            try:
                store.offer(data)
            except policy.SignedFileRefused as refusal:
                return FileVerdict(_REFUSED[type(refusal)])
            header, compiled = policy.open_policy(data, keys)
        rules = tuple((rule.issuer, int(rule.category), rule.identity) for rule in compiled.policy.rules)
        return FileVerdict(None, header.sequence, header.issued_at, rules=rules)

    def revocation_file(self, data: bytes, keys: Sequence[bytes]) -> FileVerdict:
        """A fresh `RevocationStore`; each ID that the file holds is asked for, and its neighbours that it has not."""
        with tempfile.TemporaryDirectory() as name:
            store = revocation.RevocationStore(Path(name), keys=keys, clock=lambda: 0.0)
            try:
                store.offer(data)
            except policy.SignedFileRefused as refusal:
                return FileVerdict(_REFUSED[type(refusal)])
            header, held = revocation.open_revocations(data, keys)
            revoked = tuple(sorted(held))
            for number in revoked:
                for near in (number - 1, number, number + 1):
                    if 0 <= near < 1 << 64 and store.is_revoked(near) is not (near in revoked):
                        raise AssertionError(f"{near:016x} is answered wrongly")
        return FileVerdict(None, header.sequence, header.issued_at, revoked=revoked)

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
