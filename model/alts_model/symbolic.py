"""The symbolic interpretation: values are terms, cryptography is perfect."""

from __future__ import annotations

from typing import cast

from alts_model import terms
from alts_model.algebra import SALT, TICKET_KEY_LABEL, TICKET_LABEL, TICKET_SECRET_LABELS, TRANSCRIPT_LABEL
from alts_model.ciphers import X25519_SIZE
from alts_model.errors import Refused
from alts_model.messages import (
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
from alts_model.stores import Contents, Session, SessionParty
from alts_model.tables import REKEY_INTERVAL, Role
from alts_model.terms import Term, const

NONE = const("none")


def value_of(term: Term) -> object:
    """The value of a constant."""
    if term.op != "const":
        raise Refused("DECODE_ERROR", "not a constant")
    return term.args[0]


def _party_term(party: SessionParty[Term]) -> Term:
    fields = (
        party.category,
        party.identity,
        party.issuer,
        party.boundary,
        party.not_after,
        party.handshake_revocation_id,
        party.master_revocation_id,
    )
    return terms.make("party", const(fields), party.certificate_digest, party.verification_key_id)


def _read_party(term: Term) -> SessionParty[Term]:
    fields, digest, key_id = term.subterms
    return SessionParty(*cast(tuple[int, str, str, str, int, int, int], value_of(fields)), digest, key_id)


def _names(term: Term) -> tuple[str, ...]:
    return cast(tuple[str, ...], value_of(term))


def _number(term: Term) -> int:
    return cast(int, value_of(term))


def _issued(ticket: IssuedTicket[Term] | None) -> Term:
    if ticket is None:
        return NONE
    numbers = const((ticket.resumption_id, ticket.key_epoch, ticket.lifetime_seconds))
    return terms.make("IssuedTicket", numbers, ticket.ticket)


def _presented(ticket: PresentedTicket[Term] | None) -> Term:
    return (
        NONE if ticket is None else terms.make("tuple", const((ticket.resumption_id, ticket.key_epoch)), ticket.ticket)
    )


def _read_presented(term: Term) -> PresentedTicket[Term] | None:
    if term is NONE:
        return None
    numbers, ticket = term.subterms
    resumption_id, epoch = cast(tuple[bytes, int], value_of(numbers))
    return PresentedTicket(resumption_id, epoch, ticket)


def master_certificate(
    signing_key: Term,
    *,
    category: int,
    identity: str,
    issuer: str,
    public_key: Term,
    revocation_id: int,
    ciphers: tuple[str, ...],
    workload_identities: tuple[str, ...] = (),
    not_after: int = 0,
    key_id: Term | None = None,
) -> Term:
    """A master certificate; `key_id` replaces the right one."""
    label = "openalts v1 master certificate"
    body = terms.make(
        "master_body",
        const((category, identity, issuer, 0, not_after, revocation_id, ciphers, workload_identities)),
        verification_key_id(terms.public(signing_key)) if key_id is None else key_id,
        public_key,
    )
    return terms.make("master", body, terms.sign(signing_key, label, body))


def handshake_certificate(
    master_key: Term,
    master: Term,
    *,
    category: int,
    identity: str,
    public_key: Term,
    revocation_id: int,
    ciphers: tuple[str, ...],
    not_after: int = 0,
    boundary: str = "dc1",
) -> Term:
    """A handshake certificate around `master`."""
    label = "openalts v1 handshake certificate"
    fields = const((category, identity, 0, not_after, revocation_id, ciphers, boundary))
    body = terms.make("certificate_body", fields, terms.hash_of(master), public_key)
    return terms.make("certificate", body, terms.sign(master_key, label, body), master)


def verification_key_id(public_key: Term) -> Term:
    """The ID of a verification key."""
    return terms.hash_of(public_key)


class SymbolicAlgebra:
    """`Algebra[Term]`."""

    def encode(self, message: ClientInit[Term] | ServerInit[Term] | Finished[Term] | Alert) -> Term:
        """A message as a term."""
        match message:
            case Alert():
                return terms.make("Alert", const(message.code))
            case Finished():
                return terms.make(
                    "Finished", message.authenticator, message.ticket_authenticator, _issued(message.ticket)
                )
            case ClientInit():
                shares = tuple(terms.tuple_of(const(cipher), share) for cipher, share in message.key_shares)
                return terms.make(
                    "ClientInit",
                    message.nonce,
                    message.certificate,
                    const(message.handshake_ciphers),
                    const(message.record_protocols),
                    terms.tuple_of(*shares),
                    const(message.application_protocols),
                    const(message.rpc_versions),
                    const(message.max_frame_size),
                    const((message.resumption_id, message.ticket_key_epochs)),
                    _presented(message.ticket),
                )
            case ServerInit():
                return terms.make(
                    "ServerInit",
                    message.nonce,
                    const(message.mode),
                    NONE if message.certificate is None else message.certificate,
                    const(message.handshake_cipher),
                    const(message.record_protocol),
                    const(message.application_protocol),
                    const(message.rpc_versions),
                    const(message.max_frame_size),
                    NONE if message.key_share is None else message.key_share,
                    _presented(message.ticket),
                )

    def decode_client_init(self, payload: Term) -> ClientInit[Term]:
        """The message; any other term does not parse."""
        if payload.op != "ClientInit":
            raise Refused("DECODE_ERROR")
        nonce, certificate, ciphers, records, shares, applications, rpc, size, tickets, ticket = payload.subterms
        resumption_id, epochs = cast(tuple[bytes, tuple[int, ...]], value_of(tickets))
        pairs = tuple((cast(str, value_of(share.subterms[0])), share.subterms[1]) for share in shares.subterms)
        return ClientInit(
            nonce,
            certificate,
            _names(ciphers),
            _names(records),
            pairs,
            _names(applications),
            cast(RpcRange, value_of(rpc)),
            _number(size),
            resumption_id,
            epochs,
            _read_presented(ticket),
        )

    def decode_server_init(self, payload: Term) -> ServerInit[Term]:
        """The message; any other term does not parse."""
        if payload.op != "ServerInit":
            raise Refused("DECODE_ERROR")
        nonce, mode, certificate, cipher, record, application, rpc, size, share, ticket = payload.subterms
        return ServerInit(
            nonce,
            _number(mode),
            None if certificate is NONE else certificate,
            cast(str, value_of(cipher)),
            cast(str, value_of(record)),
            cast(str, value_of(application)),
            cast(RpcRange, value_of(rpc)),
            _number(size),
            None if share is NONE else share,
            _read_presented(ticket),
        )

    def decode_finished(self, payload: Term, sender: Role) -> Finished[Term]:
        """The message; any other term does not parse. Both Finished messages have the same fields."""
        if payload.op != "Finished":
            raise Refused("DECODE_ERROR")
        authenticator, ticket_authenticator, ticket = payload.subterms
        if ticket is NONE:
            return Finished(authenticator, ticket_authenticator)
        numbers, inner = ticket.subterms
        resumption_id, epoch, lifetime = cast(tuple[bytes, int, int], value_of(numbers))
        return Finished(authenticator, ticket_authenticator, IssuedTicket(resumption_id, epoch, lifetime, inner))

    def decode_alert(self, payload: Term) -> Alert:
        """The message; any other term does not parse."""
        if payload.op != "Alert":
            raise Refused("DECODE_ERROR")
        return Alert(_number(payload.subterms[0]))

    def certificate(self, certificate: Term) -> CertificateView[Term]:
        """The view; whatever is no certificate is refused."""
        if certificate.op != "certificate" or certificate.subterms[2].op != "master":
            raise Refused("BAD_CERTIFICATE")
        body, signature, master = certificate.subterms
        fields, digest, dh_key = body.subterms
        master_body, master_signature = master.subterms
        master_fields, key_id, master_key = master_body.subterms
        category, identity, not_before, not_after, revocation_id, ciphers, boundary = cast(
            tuple[int, str, int, int, int, tuple[str, ...], str], value_of(fields)
        )
        outer = cast(tuple[int, str, str, int, int, int, tuple[str, ...], tuple[str, ...]], value_of(master_fields))
        view = MasterView(
            *outer[:3],
            key_id,
            *outer[3:6],
            master_key,
            *outer[6:],
            master_body,
            master_signature,
            terms.hash_of(master),
        )
        return CertificateView(
            category,
            identity,
            digest,
            not_before,
            not_after,
            revocation_id,
            dh_key,
            ciphers,
            boundary,
            body,
            signature,
            view,
        )

    def verify(self, public_key: Term, label: str, body: Term, signature: Term) -> bool:
        """A signature is right if it is the one that the key's owner makes."""
        return public_key.op == "public" and signature is terms.sign(public_key.subterms[0], label, body)

    def equal(self, left: Term, right: Term) -> bool:
        """Terms are hash-consed: equality is identity."""
        return left is right

    def digest(self, certificate: Term) -> Term:
        """A hash."""
        return terms.hash_of(certificate)

    def public(self, private_key: Term) -> Term:
        """A public key."""
        return terms.public(private_key)

    def dh(self, private_key: Term, public_key: Term) -> Term:
        """Diffie-Hellman."""
        return terms.dh(private_key, public_key)

    def is_zero(self, shared: Term) -> bool:
        """The result that a point of low order gives."""
        return shared is terms.ZERO

    def kem_public(self, seed: Term) -> Term:
        """An encapsulation key."""
        return terms.kem_public(seed)

    def encapsulate(self, encapsulation_key: Term, randomness: Term) -> tuple[Term, Term] | None:
        """Every term but an encapsulation key fails the modulus check."""
        if encapsulation_key.op != "kem_public":
            return None
        return terms.kem_secret(encapsulation_key, randomness), terms.kem_ciphertext(encapsulation_key, randomness)

    def decapsulate(self, seed: Term, ciphertext: Term) -> Term:
        """The secret, or for whatever is no ciphertext under this key a secret that nobody else has."""
        return terms.decapsulate(seed, ciphertext)

    def join(self, parts: tuple[Term, ...]) -> Term:
        """A tuple, or the one part."""
        return parts[0] if len(parts) == 1 else terms.tuple_of(*parts)

    def split(self, share: Term) -> tuple[Term, Term | None]:
        """The parts of a share of one or two."""
        return (share.subterms[0], share.subterms[1]) if share.op == "tuple" else (share, None)

    def share_fits(self, share: Term | None, size: int) -> bool:
        """A share of two parts is one with ML-KEM."""
        parts = 0 if share is None else 2 if share.op == "tuple" else 1
        return parts == (0 if size == 0 else 1 if size == X25519_SIZE else 2)

    def transcript(self, client_init: Term, server_init: Term) -> Term:
        """SPEC.md 7.1."""
        return terms.hash_of(terms.tuple_of(const(TRANSCRIPT_LABEL), client_init, server_init))

    def extract(self, material: Term) -> Term:
        """SPEC.md 7.3."""
        return terms.extract(const(SALT), material)

    def info(self, label: str, transcript: Term, client: str, server: str) -> Term:
        """SPEC.md 7.4."""
        return terms.tuple_of(const(label), transcript, const(client), const(server))

    def expand(self, prk: Term, info: Term, size: int) -> Term:
        """SPEC.md 7.4."""
        return terms.expand(prk, info, size)

    def authenticator(self, key: Term, label: str) -> Term:
        """SPEC.md 7.5."""
        return terms.hmac(key, const(label))

    def ticket_authenticator(self, key: Term, label: str, ticket: IssuedTicket[Term] | None) -> Term:
        """SPEC.md 7.6."""
        return terms.hmac(key, terms.tuple_of(const(label), _issued(ticket)))

    def ticket_secret(self, R: Term, maker: Role) -> Term:
        """SPEC.md 12.3."""
        return terms.hmac(R, const(TICKET_SECRET_LABELS[maker]))

    def ticket_aad(self, maker: Role, identity: str, resumption_id: bytes, epoch: int) -> Term:
        """SPEC.md 12.2."""
        return const((TICKET_LABEL, maker, identity, resumption_id, epoch, 1))

    def ticket_key(self, salt: Term, resumption_key: Term) -> Term:
        """SPEC.md 12.2."""
        return terms.expand(terms.extract(salt, resumption_key), const(TICKET_KEY_LABEL), 32)

    def encode_contents(self, contents: Contents[Term]) -> Term:
        """The inside of a ticket as a term; who is the maker is told by position."""
        session, maker = contents.session, contents.maker_role
        ends = (session.client, session.server) if maker == "client" else (session.server, session.client)
        numbers = const((session.handshake_cipher, contents.created, session.full_handshake))
        return terms.make("contents", contents.secret, *map(_party_term, ends), numbers)

    def seal_ticket(self, salt: Term, key: Term, plaintext: Term, aad: Term) -> Term:
        """SPEC.md 12.2."""
        return terms.tuple_of(salt, terms.sealed(key, aad, plaintext))

    def open_ticket(self, resumption_key: Term, ticket: Term, aad: Term, maker: Role) -> Contents[Term] | None:
        """SPEC.md 12.2."""
        if ticket.op != "tuple" or len(ticket.subterms) != 2 or ticket.subterms[1].op != "sealed":
            return None
        salt, (key, found_aad, plaintext) = ticket.subterms[0], ticket.subterms[1].subterms
        if (key, found_aad) != (self.ticket_key(salt, resumption_key), aad) or plaintext.op != "contents":
            return None
        secret, own, other, numbers = plaintext.subterms
        cipher, created, full = cast(tuple[str, int, int], value_of(numbers))
        ends = (_read_party(own), _read_party(other))
        client, server = ends if maker == "client" else ends[::-1]
        return Contents(secret, maker, Session(client, server, cipher, full), created)

    def record_position(self, M: Term, sender: Role, counter: int) -> tuple[Term, Term]:
        """AEAD key and nonce of a frame (SPEC.md 8.2)."""
        key = terms.hmac(terms.cut(M, 0, 32), const(("window", counter // REKEY_INTERVAL)))
        return key, terms.xor(const(("counter", sender, counter)), terms.cut(M, 32, 44))

    def seal(self, M: Term, sender: Role, counter: int, plaintext: Term) -> Term:
        """SPEC.md 8.2."""
        return terms.aead(*self.record_position(M, sender, counter), plaintext)

    def open(self, M: Term, sender: Role, counter: int, payload: Term) -> Term | None:
        """SPEC.md 8.2."""
        if payload.op != "aead":
            return None
        key, nonce, plaintext = payload.subterms
        return plaintext if (key, nonce) == self.record_position(M, sender, counter) else None
