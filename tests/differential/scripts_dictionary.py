"""The dictionary between the proof scripts and the model: what each function and constant of a script is in the model.

A term of a script is translated function by function; equal terms of the model are one object. Names become names of
the model, constants the strings that stand beside them in the scripts. What the scripts leave out is filled in from
`LEFT_OUT`, one list for both. A function or constant without an entry is an error: new scripts need new entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alts_model import terms
from alts_model.algebra import TICKET_SECRET_LABELS
from alts_model.ciphers import CIPHERS
from alts_model.messages import (
    HUMAN,
    MACHINE,
    MODE_CLIENT_TICKET,
    MODE_FULL,
    MODE_SERVER_TICKET,
    WORKLOAD,
    ClientInit,
    PresentedTicket,
    ServerInit,
)
from alts_model.stores import TICKET_LIFE, Contents, Session, SessionParty, session_party
from alts_model.symbolic import SymbolicAlgebra, handshake_certificate, master_certificate
from alts_model.tables import Role
from alts_model.terms import Term, const, name
from alts_proofs.honest import Value

APPLICATIONS: Final = ("grpc",)
RPC: Final = ((2, 1), (2, 1))
FRAME_SIZE: Final = 1048576
EPOCH: Final = 1
NOW: Final = 1000

LEFT_OUT: Final = {
    "clientInit": "application protocols, RPC versions, frame size, epochs; an ID with ciphers without tickets",
    "serverInit": "mode, application protocol, RPC versions, frame size",
    "masterBytes": "version, key ID, validity, scheme, ciphers",
    "certified": "the whole chain: one signature of an authority stands for it",
    "handshakeBytes": "version, validity, ciphers, boundary; the master itself stands for its digest",
    "aeadSeal": "in tickets: nonce, epoch, IDs, issuers, times; in records: the position under M",
    "someTicket": "the epoch",
    "prefer": "lists of any length: an entry twice is a list of one",
}
"""What the scripts' functions leave out of what the model has."""

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "clientInit": ("nonce", "certificate", "handshake_ciphers", "record_protocols", "key_shares", "resumption_id"),
    "serverInit": ("nonce", "certificate", "handshake_cipher", "record_protocol", "key_share"),
    "resumingClientInit": (
        "nonce",
        "certificate",
        "handshake_ciphers",
        "record_protocols",
        "key_shares",
        "resumption_id",
        "ticket",
    ),
    "resumedServerInit": ("nonce", "handshake_cipher", "record_protocol", "key_share", "ticket"),
}
"""Arguments of the Inits, by the names that the messages' fields have."""

_CONSTANT = re.compile(r'^const (\w+): \w+\.[ ]*\(\* "([^"]*)" \*\)$', re.MULTILINE)
_CATEGORY: Final = {"machineKind": (MACHINE, "fleet"), "humanKind": (HUMAN, "staff")}


class Untranslated(Exception):
    """A term of a script has no counterpart; the message says which function or constant."""


def strings(files: Iterable[Path]) -> dict[str, str]:
    """The constants that stand for a string, as their declarations say."""
    found: dict[str, str] = {}
    for path in files:
        for constant, text in _CONSTANT.findall(path.read_text(encoding="utf-8")):
            found[constant] = text
    return found


@dataclass(slots=True)
class Dictionary:
    """Translates the terms of one run. `parties` come to be known with their certificates.

    `boxes` are what the model has for contents of tickets that a script leaves out.
    """

    strings: dict[str, str]
    ciphers: tuple[str, ...]
    parties: dict[str, SessionParty[Term]] = field(default_factory=dict)
    boxes: dict[Value, Term] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _algebra: SymbolicAlgebra = field(default_factory=SymbolicAlgebra)

    def term(self, value: Value) -> Term:
        """The model's term. Raises `Untranslated`."""
        label, kind = value.label, value.kind
        if kind == "name":
            return name(atom(value))
        if label in self.strings and not value.args:
            return const(self.strings[label])
        row = _ROWS.get(label)
        if row is not None:
            return row(self, *value.args)
        if kind == "free" and not value.args:
            return name(label)
        raise Untranslated(f"{label} of {len(value.args)} arguments")

    # Names and numbers.

    def string(self, value: Value) -> str:
        """The string of a constant, or of an identity or issuer."""
        if not value.args and value.label in self.strings:
            return self.strings[value.label]
        match value.label, value.args:
            case "honest", (one,):
                return f"fleet/{atom(one)}"
            case "identity", (scope, one):
                return f"{self.scope(scope)}/{atom(one)}"
            case "authority", (category,):
                return f"authority/{self.category(category)}"
        raise Untranslated(f"{value.label} where a string is needed")

    def scope(self, value: Value) -> str:
        """A name space: cells have a name of their own."""
        category, home = self.parts(value, "home", 2)
        return f"cell-{atom(home)}" if category.label == "workload" else _CATEGORY[category.args[0].label][1]

    def category(self, value: Value) -> int:
        """The number of a category."""
        if value.label == "workload":
            return WORKLOAD
        (kind,) = self.parts(value, "individual", 1)
        return _CATEGORY[kind.label][0]

    def list(self, value: Value) -> tuple[str, ...]:
        """A list in order of preference."""
        return tuple(dict.fromkeys(self.string(entry) for entry in self.parts(value, "prefer", 2)))

    def revocation_id(self, value: Value, category: int) -> int:
        """A number for a live certificate."""
        (one,) = self.parts(value, "live", 1)
        return category << 56 | self._numbers.setdefault(atom(one), len(self._numbers) + 1)

    def resumption_id(self, identity: str) -> bytes:
        """IDR, 16 bytes."""
        return f"IDR of {identity}".encode()[-16:].ljust(16)

    @staticmethod
    def parts(value: Value, label: str, count: int) -> tuple[Value, ...]:
        """What a function is applied to, which must be the one that is meant."""
        if value.label != label or len(value.args) != count:
            raise Untranslated(f"{value.label} where {label} is needed")
        return value.args

    # Certificates.

    def _master(self, key: Value, body: Value) -> Term:
        issuer, category, subject, verification_key, revocation = self.parts(body, "masterBytes", 5)
        number = self.category(category)
        patterns: tuple[str, ...] = ()
        match subject.label:
            case "exactly":
                identity = self.string(subject.args[0])
            case "anyWithin":
                scope = self.scope(subject.args[0])
                identity, patterns = f"{scope}/master", (f"{scope}/*",)
            case other:
                raise Untranslated(f"{other} as a subject")
        return master_certificate(
            self.term(key),
            category=number,
            identity=identity,
            issuer=self.string(issuer),
            public_key=self.term(verification_key),
            revocation_id=self.revocation_id(revocation, number),
            ciphers=self.ciphers,
            workload_identities=patterns,
        )

    def _handshake(self, key: Value, body: Value) -> Term:
        category, holder, share, revocation, master = self.parts(body, "handshakeBytes", 5)
        number = self.category(category)
        certificate = handshake_certificate(
            self.term(key),
            self.term(master),
            category=number,
            identity=self.string(holder),
            public_key=self.term(share),
            revocation_id=self.revocation_id(revocation, number),
            ciphers=self.ciphers,
        )
        return self._known(certificate)

    def _chain(self, authority: Value, holder: Value, share: Value) -> Term:
        """What stands for a whole chain: both certificates of a machine, whose master key has no other use."""
        identity = self.string(holder)
        master_key = name(f"master key of {identity}")
        master = master_certificate(
            self.term(authority),
            category=MACHINE,
            identity=identity,
            issuer=f"authority/{MACHINE}",
            public_key=terms.public(master_key),
            revocation_id=MACHINE << 56 | self._numbers.setdefault(identity, len(self._numbers) + 1),
            ciphers=self.ciphers,
        )
        return self._known(
            handshake_certificate(
                master_key,
                master,
                category=MACHINE,
                identity=identity,
                public_key=self.term(share),
                revocation_id=MACHINE << 56 | self._numbers[identity],
                ciphers=self.ciphers,
            )
        )

    def _known(self, certificate: Term) -> Term:
        view = self._algebra.certificate(certificate)
        self.parties[view.identity] = session_party(view, self._algebra.digest(certificate))
        return certificate

    def signed(self, key: Value, context: Value, body: Value) -> Term:
        """A certificate, under the context of its kind."""
        if body.label == "certified":
            return self._chain(key, *body.args)
        made = self._master(key, body) if body.label == "masterBytes" else self._handshake(key, body)
        signature = made.subterms[1]
        return terms.make(
            made.op,
            made.subterms[0],
            terms.make("sign", signature.subterms[0], self.term(context), signature.subterms[2]),
            *made.subterms[2:],
        )

    # Messages.

    def client_init(self, function: str, *args: Value) -> Term:
        """ClientInit; one that presents a ticket has a function of its own in the scripts."""
        given = dict(zip(FIELDS[function], args, strict=True))
        offered = self.list(given["handshake_ciphers"])
        share = None if given["key_shares"].label == "noShare" else self.term(given["key_shares"])
        (owner,) = self.parts(given["resumption_id"], "resumptionId", 1)
        resumable = any(CIPHERS[cipher].resumable for cipher in offered if cipher in CIPHERS)
        return self._algebra.encode(
            ClientInit(
                self.term(given["nonce"]),
                self.term(given["certificate"]),
                offered,
                self.list(given["record_protocols"]),
                () if share is None else ((offered[0], share),),
                APPLICATIONS,
                RPC,
                FRAME_SIZE,
                self.resumption_id(self.string(owner)) if resumable else b"",
                (EPOCH,) if resumable else (),
                self.presented(given["ticket"]) if "ticket" in given else None,
            )
        )

    def server_init(self, function: str, *args: Value) -> Term:
        """ServerInit; in a resumed session it has no certificate, and perhaps a ticket."""
        given = dict(zip(FIELDS[function], args, strict=True))
        ticket = self.presented(given["ticket"]) if "ticket" in given else None
        mode = MODE_FULL if "certificate" in given else MODE_CLIENT_TICKET if ticket is None else MODE_SERVER_TICKET
        return self._algebra.encode(
            ServerInit(
                self.term(given["nonce"]),
                mode,
                self.term(given["certificate"]) if "certificate" in given else None,
                self.string(given["handshake_cipher"]),
                self.string(given["record_protocol"]),
                APPLICATIONS[0],
                RPC,
                FRAME_SIZE,
                None if given["key_share"].label == "noShare" else self.term(given["key_share"]),
                ticket,
            )
        )

    def presented(self, ticket: Value) -> PresentedTicket[Term] | None:
        """A ticket that comes back to its maker: without the lifetime."""
        if ticket.label == "noTicket":
            return None
        box, resumption_id, _ = self.parts(ticket, "someTicket", 3)
        (owner,) = self.parts(resumption_id, "resumptionId", 1)
        return PresentedTicket(self.resumption_id(self.string(owner)), EPOCH, self._box(box))

    # Cryptography.

    def point(self, scalar: Value, point: Value) -> Term:
        """X25519: a public key, or a shared secret."""
        if point.label == "basePoint":
            return terms.public(self.term(scalar))
        return terms.dh(self.term(scalar), self.term(point))

    def encapsulated(self, key: Value, secret: Value) -> Term:
        """The ciphertext of a K; which K it is depends on the same encapsulation key."""
        scalar, under = self.parts(secret, "encapsulatedBeside", 2)
        if under != key:
            raise Untranslated("a K of another encapsulation key")
        return terms.kem_ciphertext(self.term(key), encapsulation_beside(scalar))

    def expand(self, prk: Value, label: Value, info: Value) -> Term:
        """HKDF-Expand, with the label as the first part of the info; a ticket's key has nothing but the label."""
        text = self.string(label)
        if info.label == "ticketKeyContext":
            return terms.expand(self.term(prk), const(text), 32)
        sizes = {"record": 128, "resumption": 32, "authenticator": 32}
        if text not in sizes:
            raise Untranslated(f"an expansion with the label {text!r}")
        parts = [self.term(part) for part in _tuple(info)]
        return terms.expand(self.term(prk), terms.tuple_of(const(text), *parts), sizes[text])

    def seal(self, key: Value, nonce: Value, associated: Value, plaintext: Value) -> Term:
        """AEAD: a record, or the inside of a ticket."""
        if nonce.label in ("fromClient", "fromServer") and associated.label == "noAssociatedData":
            sender: Role = "client" if nonce.label == "fromClient" else "server"
            return self._algebra.seal(self.term(key), sender, 0, self.term(plaintext))
        role, maker, owner = _tuple(associated)
        makers: dict[str, Role] = {text: one for one, text in TICKET_SECRET_LABELS.items()}
        makers |= {"client": "client", "server": "server"}
        if self.string(role) not in makers:
            raise Untranslated(f"a ticket of the role {self.string(role)!r}")
        made_by = makers[self.string(role)]
        identity = self.string(maker)
        (idr_of,) = self.parts(owner, "resumptionId", 1)
        aad = self._algebra.ticket_aad(made_by, identity, self.resumption_id(self.string(idr_of)), EPOCH)
        secret, peer = plaintext.args if plaintext.label == "ticketContents" else _tuple(plaintext)
        own, other = self.parties[identity], self.parties[self.string(peer)]
        client, server = (own, other) if made_by == "client" else (other, own)
        session = Session(client, server, self.ciphers[0], NOW)
        contents = self._algebra.encode_contents(Contents(self.term(secret), made_by, session, NOW))
        return terms.sealed(self.term(key), aad, contents)

    def ticket(self, box: Value, resumption_id: Value, lifetime: Value) -> Term:
        """An issued ticket; a lifetime, which is anything in the scripts, is the longest here."""
        (owner,) = self.parts(resumption_id, "resumptionId", 1)
        numbers = const((self.resumption_id(self.string(owner)), EPOCH, TICKET_LIFE))
        return terms.make("IssuedTicket", numbers, self._box(box))

    def _box(self, box: Value) -> Term:
        if box in self.boxes:
            return self.boxes[box]
        salt, inside = self.parts(box, "tuple", 2)
        return terms.tuple_of(self.term(salt), self.term(inside))


def seed_beside(scalar: Value) -> Term:
    """What ML-KEM draws beside an X25519 scalar: the seed of a decapsulation key."""
    return name(f"ML-KEM seed beside {atom(scalar)}")


def encapsulation_beside(scalar: Value) -> Term:
    """What ML-KEM draws beside an X25519 scalar: the randomness of an encapsulation."""
    return name(f"encapsulation beside {atom(scalar)}")


def atom(value: Value) -> str:
    """A name of a script, or a value of the environment, as text."""
    if value.kind not in ("name", "free"):
        raise Untranslated(f"{value.label} where a name is needed")
    sessions = "-".join(arg.label.removeprefix("session") for arg in value.args)
    return f"{value.label}-{sessions}" if sessions else value.label


def _tuple(value: Value) -> tuple[Value, ...]:
    return value.args if value.label == "tuple" else (value,)


Row = Callable[..., Term]
_ROWS: Final[dict[str, Row]] = {
    "verificationKey": lambda d, key: terms.public(d.term(key)),
    "signed": Dictionary.signed,
    "clientInit": lambda d, *args: d.client_init("clientInit", *args),
    "serverInit": lambda d, *args: d.server_init("serverInit", *args),
    "resumingClientInit": lambda d, *args: d.client_init("resumingClientInit", *args),
    "resumedServerInit": lambda d, *args: d.server_init("resumedServerInit", *args),
    "x25519": Dictionary.point,
    "sha256": lambda d, data: terms.hash_of(d.term(data)),
    "hmac": lambda d, key, data: terms.hmac(d.term(key), d.term(data)),
    "hkdfExtract": lambda d, salt, material: terms.extract(d.term(salt), d.term(material)),
    "hkdfExpand": Dictionary.expand,
    "aeadSeal": Dictionary.seal,
    "someTicket": Dictionary.ticket,
    "noTicket": lambda d: const("none"),
    "encapsulationKey": lambda d, key: terms.kem_public(seed_beside(*d.parts(key, "decapsulationKeyBeside", 1))),
    "encapsulated": Dictionary.encapsulated,
    "encapsulatedBeside": lambda d, scalar, key: terms.kem_secret(d.term(key), encapsulation_beside(scalar)),
    "hybridShare": lambda d, point, key: terms.tuple_of(d.term(point), d.term(key)),
    "hybridAnswer": lambda d, point, ciphertext: terms.tuple_of(d.term(point), d.term(ciphertext)),
    "tuple": lambda d, *parts: terms.tuple_of(*map(d.term, parts)),
    "identity": lambda d, scope, one: const(f"{d.scope(scope)}/{atom(one)}"),
    "honest": lambda d, one: const(f"fleet/{atom(one)}"),
    "resumptionKeyOf": lambda d, owner: name(f"resumption key of {d.string(owner)}"),
    "clientPayload": lambda d, own, peer: name(f"payload of {d.string(own)} to {d.string(peer)}"),
    "serverPayload": lambda d, own, peer: name(f"answer of {d.string(own)} to {d.string(peer)}"),
    "firstClientPayload": lambda d, own, peer: name(f"payload of {d.string(own)} to {d.string(peer)}"),
    "firstServerPayload": lambda d, own, peer: name(f"answer of {d.string(own)} to {d.string(peer)}"),
    "anyTicketSalt": lambda d: name("anyTicketSalt"),
}
