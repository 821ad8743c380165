"""Vectors of tickets (SPEC 12.2, 12.3): every value up to the ticket, and tickets that must not open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alts_model.ciphers import HYBRID, STATIC
from alts_model.concrete import ConcreteAlgebra
from alts_model.messages import HUMAN, MACHINE, WORKLOAD
from alts_model.primitives import sha256
from alts_model.stores import Contents, Session, SessionParty
from alts_model.tables import Role

from . import _settings, _wire
from ._case import Group, Why, document, hexes
from ._files import Json
from ._world import CLIENT, ISSUER, NOW, SERVER, World
from .target import ResumptionSettings

_IDS, _SPEC = ("RES-2", "CRED-3"), ("12.2",)
_ROLES: tuple[Role, Role] = ("client", "server")


def party_json(party: SessionParty[bytes]) -> Json:
    """One end of a session."""
    return {
        "category": party.category,
        "identity": party.identity,
        "issuer": party.issuer,
        "boundary": party.boundary,
        "notAfter": party.not_after,
        "revocationIds": {
            "handshake": f"{party.handshake_revocation_id:016x}",
            "master": f"{party.master_revocation_id:016x}",
        },
        "certificateDigest": party.certificate_digest.hex(),
        "verificationKeyId": party.verification_key_id.hex(),
    }


def contents_json(contents: Contents[bytes]) -> Json:
    """The inside of a ticket."""
    session = contents.session
    ends = (session.client, session.server) if contents.maker_role == "client" else (session.server, session.client)
    return {
        "secret": contents.secret.hex(),
        "maker": party_json(ends[0]),
        "holder": party_json(ends[1]),
        "handshakeCipher": session.handshake_cipher,
        "created": contents.created,
        "fullHandshake": session.full_handshake,
    }


def generate(seed: str) -> Json:
    """The file `tickets`."""
    world = World(seed)
    return document(
        "tickets",
        seed,
        "Tickets of SPEC.md 12.2. `keys` are resumption keys by epoch: the newest seals. `contents` is the plaintext, "
        "field by field.",
        [_secrets(world), _sealed(world), _invalid(world)],
    )


def _secrets(world: World) -> Group:
    group = Group("ticket_secret", "From R to the secret of the ticket that each end makes (SPEC 12.3).")
    algebra = ConcreteAlgebra()
    for name, R in {"usual": world.derive("R"), "zero": bytes(32), "ones": b"\xff" * 32}.items():
        for maker in _ROLES:
            reason = "One secret for each maker: with R itself in both, one R could be used twice."
            why = Why(f"R: {name}, maker: {maker}", reason, ("RES-2", "RES-6", "RES-7"), ("12.3",), ("TicketFormat",))
            secret = algebra.ticket_secret(R, maker)
            group.add(
                f"{maker}-{name}",
                why,
                input={"R": R.hex(), "maker": maker},
                result={"verdict": "valid", "secret": secret.hex()},
            )
    return group


def _party(world: World, identity: str, category: int, **changes: Any) -> SessionParty[bytes]:
    usual = SessionParty(
        category,
        identity,
        ISSUER,
        "site-1",
        NOW + 7200,
        category << 56 | 0x101,
        category << 56 | 0x100,
        world.derive(f"certificate of {identity}"),
        sha256(world.signing_key),
    )
    return replace(usual, **changes)


def _keys(world: World, *epochs: int) -> ResumptionSettings:
    keys = tuple((epoch, world.derive(f"resumption key {epoch}")) for epoch in epochs)
    return ResumptionSettings(world.derive("IDR")[:16], keys)


def _contents(world: World, maker: Role, **changes: Any) -> Contents[bytes]:
    """What a ticket says; `client`, `server`, `cipher`, `created`, `full` may be other than usual."""
    session = Session(
        changes.get("client", _party(world, CLIENT, WORKLOAD)),
        changes.get("server", _party(world, SERVER, WORKLOAD)),
        changes.get("cipher", STATIC),
        changes.get("full", NOW - 10),
    )
    return Contents(world.derive("secret"), maker, session, changes.get("created", NOW))


def seal(resumption: ResumptionSettings, contents: Contents[bytes], salt: bytes) -> dict[str, bytes]:
    """Key, associated data, plaintext and ticket, by name."""
    algebra, (epoch, resumption_key) = ConcreteAlgebra(), max(resumption.keys)
    maker = contents.session.party(contents.maker_role)
    aad = algebra.ticket_aad(contents.maker_role, maker.identity, resumption.resumption_id, epoch)
    key, plaintext = algebra.ticket_key(salt, resumption_key), algebra.encode_contents(contents)
    return {"key": key, "aad": aad, "plaintext": plaintext, "ticket": algebra.seal_ticket(salt, key, plaintext, aad)}


def _sealed(world: World) -> Group:
    group = Group("ticket", "Tickets, with every value on the way; each opens again to what was sealed.")
    long = "/".join(["s" * 63] * 3 + ["t" * 63])
    cases: dict[str, tuple[Role, tuple[int, ...], dict[str, Any], str]] = {
        "server": ("server", (1,), {}, "The usual form."),
        "client": ("client", (1,), {}, "The same session, made by the other end: another label, other keys."),
        "newest-epoch": ("server", (3, 4, 9), {}, "The newest epoch seals."),
        "largest-epoch": ("server", (2**64 - 1,), {}, "The epoch at its widest."),
        "hybrid": ("client", (1,), {"cipher": HYBRID}, "A ticket is for one cipher."),
        "no-expiry": (
            "server",
            (1,),
            {"server": _party(world, SERVER, MACHINE, not_after=0, boundary="")},
            "What is absent takes no bytes.",
        ),
        "human": (
            "server",
            (1,),
            {"client": _party(world, "test/user/alice@example", HUMAN, handshake_revocation_id=1 << 56)},
            "A human holds tickets.",
        ),
        "longest": ("server", (1,), {"server": _party(world, long, WORKLOAD, issuer=long)}, "Names at their longest."),
        "chain": ("server", (1,), {"created": NOW + 172000, "full": NOW}, "The last full handshake was long ago."),
    }
    for name, (maker, epochs, changes, reason) in cases.items():
        resumption, contents, salt = (
            _keys(world, *epochs),
            _contents(world, maker, **changes),
            world.derive(f"salt {name}"),
        )
        values = seal(resumption, contents, salt)
        ticket = values.pop("ticket")
        group.add(
            name,
            Why(f"a ticket: {name.replace('-', ' ')}", reason, _IDS, _SPEC, ("TicketFormat",)),
            input={
                **_opened_with(resumption, maker),
                "contents": contents_json(contents),
                "salt": salt.hex(),
            },
            intermediate=hexes(values),
            result={"verdict": "valid", "ticket": ticket.hex()},
        )
    return group


def _opened_with(resumption: ResumptionSettings, maker: Role) -> Json:
    known = _settings.resumption_to_json(resumption)
    return {"resumptionId": known["resumptionId"], "keys": known["keys"], "maker": maker}


def _invalid(world: World) -> Group:
    group = Group("ticket_invalid", "What a maker cannot open, or must not take for its own.")
    resumption, maker = _keys(world, 1), "server"
    contents, salt = _contents(world, "server"), world.derive("salt")
    ticket = seal(resumption, contents, salt)["ticket"]
    algebra = ConcreteAlgebra()

    def sealed(plaintext: bytes, identity: str = SERVER, role: Role = "server") -> bytes:
        aad = algebra.ticket_aad(role, identity, resumption.resumption_id, 1)
        return algebra.seal_ticket(salt, algebra.ticket_key(salt, resumption.keys[0][1]), plaintext, aad)

    plain = algebra.encode_contents(contents)
    spoilt: Mapping[str, tuple[bytes, str]] = {
        "flipped-first": (bytes([ticket[0] ^ 1]) + ticket[1:], "The salt is part of what is authenticated."),
        "flipped-body": (ticket[:40] + bytes([ticket[40] ^ 1]) + ticket[41:], "The contents are authenticated."),
        "flipped-tag": (ticket[:-1] + bytes([ticket[-1] ^ 1]), "The whole tag counts."),
        "cut": (ticket[:-1], "One byte is missing."),
        "longer": (ticket + b"\x00", "One byte too many."),
        "salt-alone": (ticket[:32], "Nothing but the salt."),
        "salt-and-tag": (ticket[:32] + ticket[-16:], "An empty plaintext under a tag of something else."),
        "one-byte": (b"t", "Shorter than any ticket; it must not be an error of another kind."),
        "garbage": (world.derive("garbage") * 8, "Bytes of anybody's making."),
        "other-role": (sealed(plain, role="client"), "Made by the same identity as a client: the wrong end."),
        "other-identity": (sealed(plain, "test/other"), "Another identity's ticket, though the key is the same."),
        "maker-inside-differs": (
            sealed(algebra.encode_contents(_contents(world, "server", server=_party(world, "test/other", WORKLOAD)))),
            "The maker inside is not the one outside.",
        ),
        "contents-empty": (sealed(b""), "Rightly sealed, and nothing in it."),
        "contents-garbage": (sealed(b"\xff\xff\xff"), "Rightly sealed, and no message."),
        "contents-version-2": (sealed(_wire.put(plain, 1, 2)), "A later version's contents."),
        "contents-short-secret": (sealed(_wire.put(plain, 2, bytes(31))), "A secret of 31 bytes."),
        "contents-unknown-cipher": (sealed(_wire.put(plain, 5, b"X25519_FUTURE_SHA256")), "A cipher nobody knows."),
    }

    def add(name: str, raw: bytes, reason: str, epoch: int = 1, identity: str = SERVER, idr: bytes = b"") -> None:
        why = Why(f"a ticket: {name.replace('-', ' ')}", reason, ("RES-2", "RES-8"), ("12.2", "12.6"), ("Ticket",))
        group.add(
            name,
            why,
            input={
                **_opened_with(resumption, "server"),
                "identity": identity,
                "presentedId": (idr or resumption.resumption_id).hex(),
                "keyEpoch": str(epoch),
                "ticket": raw.hex(),
            },
            result={"verdict": "invalid"},
        )

    assert maker == contents.maker_role
    for name, (raw, reason) in spoilt.items():
        add(name, raw, reason)
    add("other-epoch", ticket, "The epoch beside it is not the one that it was sealed under.", epoch=2)
    add("epoch-largest", ticket, "No such epoch.", epoch=2**64 - 1)
    add("other-idr", ticket, "Another cell's ID.", idr=bytes(16))
    add("read-by-another", ticket, "Whoever opens it must be who made it.", identity="test/other")
    return group
