"""Spoilt handshake messages as data, made from those of an honest run (SPEC 5.2 to 5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from alts_model.codec import frame
from alts_model.primitives import hmac_sha256
from alts_model.tables import Role

from . import _wire
from ._bad_certificates import _ENCODINGS as ENCODINGS
from ._case import Why
from ._wire import BYTES, VARINT, put
from ._world import CIPHER, HUMAN, NOW, RECORD_PROTOCOL, RESERVED_CIPHER, Chain
from .target import EndpointSettings

if TYPE_CHECKING:
    from ._refusals import Honest, Refusal

SYNTAX = "ILLEGAL_PARAMETER"


def _rpc(high: tuple[int, int] | None, low: tuple[int, int] | None) -> bytes:
    """An RpcVersions message, by hand."""

    def version(pair: tuple[int, int]) -> bytes:
        return _wire.join([(i + 1, VARINT, _wire.varint(n)) for i, n in enumerate(pair) if n])

    parts = [(1, BYTES, version(high))] if high is not None else []
    parts += [(2, BYTES, version(low))] if low is not None else []
    return _wire.join(parts)


def _ticket(resumption_id: bytes, epoch: int, ticket: bytes, lifetime: int | None = None) -> bytes:
    """A PresentedTicket, or with a lifetime an IssuedTicket."""
    parts = [(1, BYTES, resumption_id)] if resumption_id else []
    parts += [(2, VARINT, _wire.varint(epoch))] if epoch else []
    parts += [(3, VARINT, _wire.varint(lifetime))] if lifetime else []
    parts += [(3 if lifetime is None else 4, BYTES, ticket)] if ticket else []
    return _wire.join(parts)


def _names(*names: str) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in names)


SEVENTEEN = tuple(f"x{number}" for number in range(17))


class _Cases:
    """Makes refusals of one message at one role."""

    def __init__(self, honest: Honest, role: Role, symbol: str, before: tuple[tuple[str, bytes], ...]) -> None:
        self.honest, self.role, self.symbol, self.before = honest, role, symbol, before

    def make(
        self,
        name: str,
        payload: bytes,
        error: str,
        reason: str,
        flag: str,
        spec: tuple[str, ...],
        requirements: tuple[str, ...],
        settings: EndpointSettings | None = None,
    ) -> Refusal:
        from ._refusals import Refusal

        why = Why(f"{self.symbol}: {name.replace('-', ' ')}", reason, requirements, spec, (flag,))
        acts = (*self.before, ("receive", frame(self.symbol, payload)))
        prefix = f"{self.symbol}-" if self.symbol.endswith("finished") else ""  # else the group says it
        return Refusal(prefix + name, self.role, acts, error, why, settings)

    def encodings(self, payload: bytes, requirements: tuple[str, ...], *, versioned: bool) -> Iterator[Refusal]:
        """Undecodable and not canonical."""
        for name, (patch, reason) in ENCODINGS.items():
            # Every field of the spoilt message may still be right: only its encoding is not.
            error = "DECODE_ERROR"
            if name == "empty":
                error = "UNSUPPORTED_VERSION" if versioned else SYNTAX
            flag = "Undecodable" if name in ("truncated", "empty", "trailing-byte") else "Canonical"
            yield self.make(name, patch(payload), error, reason, flag, ("4.2", "5.3"), requirements)
        garbage = {"garbage": b"\xff" * 40, "group-tag": payload + b"\x0b\x0c", "field-0": payload + b"\x00\x00"}
        for name, data in garbage.items():
            reason = "Bytes that are no message must end in one clear error."
            yield self.make(name, data, "DECODE_ERROR", reason, "Undecodable", ("5.3",), requirements)

    def versions(self, payload: bytes, requirements: tuple[str, ...]) -> Iterator[Refusal]:
        """Not version 1; decided before canonical form and syntax."""
        for name, data in {
            "version-0": _wire.drop(payload, 1),
            "version-2": put(payload, 1, 2),
            "version-largest": put(payload, 1, 2**32 - 1),
            "version-2-not-canonical": put(payload, 1, 2) + _wire.one(100, VARINT, b"\x01"),
            "version-2-broken-syntax": put(put(payload, 1, 2), 2, b"x"),
        }.items():
            reason = "A later version may have other fields: it is refused as such, before anything else is judged."
            yield self.make(name, data, "UNSUPPORTED_VERSION", reason, "Version", ("5.3",), requirements)

    def common_syntax(self, payload: bytes, rpc: int, size: int, ids: tuple[str, ...]) -> Iterator[Refusal]:
        """What both Inits have."""
        changes: dict[str, tuple[bytes, str]] = {
            "nonce-31": (put(payload, 2, bytes(31)), "A nonce that is too short may repeat."),
            "nonce-33": (put(payload, 2, bytes(33)), "Exactly 32 bytes."),
            "nonce-missing": (_wire.drop(payload, 2), "Without nonces a static handshake repeats its keys."),
            "rpc-missing": (_wire.drop(payload, rpc), "Both sides say what they speak."),
            "rpc-without-max": (put(payload, rpc, _rpc(None, (2, 1))), "An absent maximum is not zero."),
            "rpc-without-min": (put(payload, rpc, _rpc((2, 1), None)), "An absent minimum is not zero."),
            "rpc-major-reversed": (put(payload, rpc, _rpc((1, 9), (2, 0))), "The range is empty."),
            "rpc-minor-reversed": (put(payload, rpc, _rpc((2, 1), (2, 2))), "The range is empty by its minor."),
            "frame-size-missing": (_wire.drop(payload, size), "No default: 0 is out of range."),
            "frame-size-16383": (put(payload, size, 16383), "One below the smallest."),
            "frame-size-1048577": (put(payload, size, 1048577), "One above the largest."),
        }
        for name, (data, reason) in changes.items():
            yield self.make(name, data, SYNTAX, reason, "Syntax", ("5.2",), ids)


def client_inits(honest: Honest) -> Iterator[Refusal]:
    """Everything that is wrong with a ClientInit."""
    make = _Cases(honest, "server", "client_init", ())
    good, world = honest.client_init, honest.world
    ids = ("HS-3",)
    yield from make.encodings(good, ("HS-2", "TRUST-8"), versioned=True)
    yield from make.versions(good, ("TRUST-8",))
    yield from make.common_syntax(good, 8, 9, ids)
    for number, what in {4: "handshake-ciphers", 5: "record-protocols", 7: "application-protocols"}.items():
        real = {4: CIPHER, 5: RECORD_PROTOCOL, 7: "grpc"}[number]
        lists = {
            "none": ((), "An empty list offers nothing."),
            "17": ((real, *SEVENTEEN[:16]), "One entry too many."),
            "twice": ((real, "x", "x"), "An entry twice."),
            "65": ((real, "x" * 65), "One character too many."),
            "empty-name": ((real, ""), "An empty name."),
            "space": ((real, "a b"), "A space is not visible."),
            "delete": ((real, "a\x7f"), "0x7f is beyond the last visible character."),
            "not-ascii": ((real, "\u00e9"), "Names are ASCII."),
        }
        for name, (names, reason) in lists.items():
            yield make.make(
                f"{what}-{name}", put(good, number, *_names(*names)), SYNTAX, reason, "Syntax", ("5.2",), ids
            )
    yield from _key_shares(make, good)
    yield from _client_tickets(make, good)
    common: dict[str, tuple[bytes, str]] = {
        "handshake-cipher": (put(good, 4, *_names("X25519_FUTURE_SHA256", "x")), "NO_COMMON_HANDSHAKE_CIPHER"),
        "application-protocol": (put(good, 7, *_names("http", "GRPC")), "NO_COMMON_APPLICATION_PROTOCOL"),
        "rpc-version-older": (put(good, 8, _rpc((2, 0), (1, 0))), "NO_COMMON_RPC_VERSION"),
        "rpc-version-newer": (put(good, 8, _rpc((9, 9), (2, 2))), "NO_COMMON_RPC_VERSION"),
        "record-protocol": (put(good, 5, *_names("ALTSRP_GCM_AES128", "x")), "NO_COMMON_RECORD_PROTOCOL"),
    }
    for name, (data, error) in common.items():
        reason = "Nothing in common: running something else would be a choice that neither owner made."
        requirements = ("HS-4", "REC-1") if name == "record-protocol" else ("HS-4",)
        yield make.make(f"no-common-{name}", data, error, reason, "Negotiation", ("5.4", "6.1", "6.3"), requirements)
    orders: dict[str, tuple[bytes, str]] = {
        "cipher-first": (put(put(good, 4, b"x"), 7, b"x"), "NO_COMMON_HANDSHAKE_CIPHER"),
        "application-before-rpc": (put(put(good, 7, b"x"), 8, _rpc((1, 0), (1, 0))), "NO_COMMON_APPLICATION_PROTOCOL"),
        "rpc-before-certificate": (put(put(good, 8, _rpc((1, 0), (1, 0))), 3, b"x"), "NO_COMMON_RPC_VERSION"),
        "certificate-before-record-protocol": (put(put(good, 3, b"x"), 5, b"x"), "BAD_CERTIFICATE"),
    }
    for name, (data, error) in orders.items():
        reason = "Cheap checks come before costly ones, and the earlier one is reported."
        yield make.make(f"order-{name}", data, error, reason, "CheckOrder", ("5.4",), ("HS-4", "TRUST-1"))
    server = world.server
    yield from _certificates(make, lambda raw: put(good, 3, raw), server, world.chain("test/frontend"))
    yield make.make(
        "certificate-missing",
        _wire.drop(good, 3),
        "BAD_CERTIFICATE",
        "Authentication is mutual.",
        "CertificateForm",
        ("5.4",),
        ("TRUST-1",),
    )


def _key_shares(make: _Cases, good: bytes) -> Iterator[Refusal]:
    offered = put(good, 4, *_names(CIPHER, *SEVENTEEN[:15]))

    def share(name: str, size: int) -> bytes:
        return _wire.join([(1, BYTES, name.encode())] + ([(2, BYTES, b"s" * size)] if size else []))

    shares: dict[str, tuple[bytes, str]] = {
        "not-offered": (put(good, 6, share("x99", 32)), "A share for a cipher that is not offered."),
        "twice": (put(offered, 6, share("x0", 32), share("x0", 32)), "Which one would count?"),
        "empty": (put(offered, 6, share("x0", 0)), "A share of no bytes."),
        "2049": (put(offered, 6, share("x0", 2049)), "One byte too many."),
        "for-static": (
            put(good, 6, share(CIPHER, 32)),
            "The static cipher takes none; an ignored key is a place to hide.",
        ),
        "17": (
            put(offered, 6, *(share(f"x{number}", 1) for number in range(17))),
            "More shares than a list can offer.",
        ),
    }
    for name, (data, reason) in shares.items():
        yield make.make(f"key-share-{name}", data, SYNTAX, reason, "Syntax", ("5.2",), ("HS-3",))


def _client_tickets(make: _Cases, good: bytes) -> Iterator[Refusal]:
    rid = bytes(range(16))
    resumes = put(good, 10, rid)

    def epochs(*numbers: int) -> bytes:
        return b"".join(map(_wire.varint, numbers))

    changes: dict[str, tuple[bytes, str]] = {
        "resumption-id-15": (put(good, 10, rid[:15]), "Empty or 16 bytes."),
        "resumption-id-17": (put(good, 10, rid + b"x"), "Empty or 16 bytes."),
        "epochs-without-id": (put(good, 11, epochs(1)), "Epochs of what?"),
        "epochs-9": (put(resumes, 11, epochs(*range(1, 10))), "One too many."),
        "epochs-equal": (put(resumes, 11, epochs(3, 3)), "Strictly ascending."),
        "epochs-descending": (put(resumes, 11, epochs(4, 3)), "Strictly ascending."),
        "ticket-id-15": (put(good, 12, _ticket(rid[:15], 1, b"t")), "A ticket has a 16-byte ID."),
        "ticket-id-missing": (put(good, 12, _ticket(b"", 1, b"t")), "A ticket has a 16-byte ID."),
        "ticket-epoch-0": (put(good, 12, _ticket(rid, 0, b"t")), "Epochs begin with 1."),
        "ticket-empty": (put(good, 12, _ticket(rid, 1, b"")), "A ticket of no bytes."),
        "ticket-4097": (put(good, 12, _ticket(rid, 1, b"t" * 4097)), "One byte too many."),
        "ticket-empty-message": (put(good, 12, b""), "A ticket without any field is present all the same."),
    }
    for name, (data, reason) in changes.items():
        yield make.make(name, data, SYNTAX, reason, "Syntax", ("5.2",), ("HS-3", "RES-4"))


def _certificates(make: _Cases, embed: Any, settings: Any, chain: Chain) -> Iterator[Refusal]:
    """One case for each step of SPEC 4.9 in its place in the handshake, and what follows it."""
    world = make.honest.world
    good = chain.build()
    reserved = {"handshake_ciphers": (RESERVED_CIPHER,)}
    targets = frozenset({"test/somebody-else"})
    spec = ("4.9", "5.4" if make.role == "server" else "5.5")
    cases: list[tuple[str, bytes, str, str, tuple[str, ...], dict[str, Any]]] = [
        (
            "form",
            chain.but(handshake={"boundary": ".."}).build(),
            "BAD_CERTIFICATE",
            "CertificateForm",
            ("CRED-2",),
            {},
        ),
        ("unknown-authority", good, "UNKNOWN_AUTHORITY", "UnknownAuthority", ("CRED-4",), {"trust_anchors": ()}),
        ("expired", good, "CERTIFICATE_EXPIRED", "Expiry", ("REVOKE-1",), {"now": NOW + 10**8}),
        (
            "signature",
            chain.but(handshake={"signature": bytes(64)}).build(),
            "BAD_SIGNATURE",
            "Signature",
            ("CRED-4",),
            {},
        ),
        ("policy", good, "POLICY_DENIED", "Policy", ("POLICY-2", "POLICY-3"), {"policy": ()}),
        ("revoked", good, "CERTIFICATE_REVOKED", "Revocation", ("REVOKE-6",), {"revoked": None}),
        ("target", good, "WRONG_IDENTITY", "TargetIdentity", ("TRUST-2",), {"target_identities": targets}),
        (
            "cipher-not-listed",
            chain.but(master=reserved, handshake=reserved).build(),
            SYNTAX,
            "Negotiation",
            ("CRED-2",),
            {},
        ),
        (
            "low-order-0",
            chain.but(handshake={"x25519_public_key": bytes(32)}).build(),
            "BAD_KEY_SHARE",
            "LowOrderPoint",
            ("HS-1",),
            {},
        ),
        (
            "low-order-1",
            chain.but(handshake={"x25519_public_key": b"\x01" + bytes(31)}).build(),
            "BAD_KEY_SHARE",
            "LowOrderPoint",
            ("HS-1",),
            {},
        ),
    ]
    if make.role == "client":
        human = world.chain("test/alice", HUMAN).build()
        cases.append(("human", human, "CATEGORY_REFUSED", "Category", ("TRUST-3",), {}))
    reason = "The peer's certificate is verified in the handshake: this fault must end it before any key is used."
    for name, raw, error, flag, requirements, changes in cases:
        yield make.make(f"certificate-{name}", embed(raw), error, reason, flag, spec, requirements, settings(**changes))


def server_inits(honest: Honest) -> Iterator[Refusal]:
    """Everything that is wrong with a ServerInit."""
    make = _Cases(honest, "client", "server_init", (("start", b""),))
    good, world = honest.server_init, honest.world
    ids = ("HS-6",)
    yield from make.encodings(good, ("HS-2", "TRUST-8"), versioned=True)
    yield from make.versions(good, ("TRUST-8",))
    yield from make.common_syntax(good, 8, 9, ids)
    ticket = _ticket(bytes(16), 1, b"t")
    rules: dict[str, tuple[bytes, str]] = {
        "mode-0": (_wire.drop(good, 3), "No mode."),
        "mode-client-ticket": (put(good, 3, 2), "No ticket was presented: nothing to resume."),
        "mode-server-ticket": (put(good, 3, 3), "This version makes no tickets."),
        "mode-unknown": (put(good, 3, 9), "A mode that does not exist."),
        "certificate-missing": (_wire.drop(good, 4), "Authentication is mutual."),
        "ticket-in-full-mode": (put(good, 11, ticket), "A ticket has no place here."),
        "ticket-malformed": (put(good, 11, _ticket(b"x", 1, b"t")), "A ticket has a 16-byte ID."),
        "cipher-not-offered": (put(good, 5, RESERVED_CIPHER.encode()), "A choice that was never offered."),
        "cipher-missing": (_wire.drop(good, 5), "No choice."),
        "record-protocol-not-offered": (
            put(good, 6, b"ALTSRP_GMAC_128"),
            "The weaker protocol was not offered: a downgrade.",
        ),
        "record-protocol-missing": (_wire.drop(good, 6), "No choice."),
        "application-protocol-not-offered": (put(good, 7, b"http"), "A choice that was never offered."),
        "key-share-present": (put(good, 10, bytes(32)), "The static cipher takes none."),
    }
    for name, (data, reason) in rules.items():
        yield make.make(name, data, SYNTAX, reason, "Negotiation", ("5.5",), ids)
    small = world.client(max_frame_size=20000)
    reason = "Frames larger than the client can take."
    yield make.make(
        "frame-size-above-offer", good, SYNTAX, reason, "Negotiation", ("5.5", "6.4"), ("HS-6", "REC-3"), small
    )
    for name, versions in {"older": ((2, 0), (1, 0)), "newer": ((3, 0), (2, 2))}.items():
        data = put(good, 8, _rpc(*versions))
        reason = "The ranges do not overlap, whatever the server thinks."
        yield make.make(
            f"rpc-version-{name}", data, "NO_COMMON_RPC_VERSION", reason, "Negotiation", ("5.5", "6.3"), ("HS-6",)
        )
    orders: dict[str, tuple[bytes, str]] = {
        "choice-before-rpc": (put(put(good, 7, b"x"), 8, _rpc((1, 0), (1, 0))), SYNTAX),
        "rpc-before-certificate": (put(put(good, 8, _rpc((1, 0), (1, 0))), 4, b"x"), "NO_COMMON_RPC_VERSION"),
    }
    for name, (data, error) in orders.items():
        reason = "Cheap checks come before costly ones, and the earlier one is reported."
        yield make.make(f"order-{name}", data, error, reason, "CheckOrder", ("5.5",), ("HS-6", "TRUST-1"))
    yield from _certificates(make, lambda raw: put(good, 4, raw), world.client, world.chain("test/backend", number=2))


def finisheds(honest: Honest) -> Iterator[Refusal]:
    """Everything that is wrong with either Finished."""
    server_init = ("receive", frame("server_init", honest.server_init))
    client_init = ("receive", frame("client_init", honest.client_init))
    both: tuple[tuple[_Cases, bytes, bytes, str], ...] = (
        (
            _Cases(honest, "client", "server_finished", (("start", b""), server_init)),
            honest.server_finished,
            honest.client_finished,
            "HS-7",
        ),
        (
            _Cases(honest, "server", "client_finished", (client_init,)),
            honest.client_finished,
            honest.server_finished,
            "HS-9",
        ),
    )
    for make, good, others, requirement in both:
        ids = (requirement,)
        yield from make.encodings(good, ("HS-2", requirement), versioned=False)
        right, extra = _wire.get(good, 1), _wire.get(good, 2)
        ticket = _ticket(bytes(range(16)), 1, b"t", 60)
        syntax: dict[str, tuple[bytes, str]] = {
            "authenticator-31": (put(good, 1, right[:31]), "A comparison over a prefix would accept it."),
            "authenticator-33": (put(good, 1, right + b"\0"), "Exactly 32 bytes."),
            "authenticator-missing": (_wire.drop(good, 1), "Nothing is not equal to the right value."),
            "ticket-authenticator-31": (put(good, 2, extra[:31]), "Exactly 32 bytes."),
            "ticket-authenticator-missing": (
                _wire.drop(good, 2),
                "It is always sent; its absence would hide a stripped ticket.",
            ),
            "ticket-id-15": (put(good, 3, _ticket(bytes(15), 1, b"t", 60)), "A ticket has a 16-byte ID."),
            "ticket-epoch-0": (put(good, 3, _ticket(bytes(16), 0, b"t", 60)), "Epochs begin with 1."),
            "ticket-without-lifetime": (put(good, 3, _wire.drop(ticket, 3)), "Issued tickets have a lifetime."),
            "ticket-lifetime-86401": (put(good, 3, _ticket(bytes(16), 1, b"t", 86401)), "A day at most."),
            "ticket-empty": (put(good, 3, _wire.drop(ticket, 4)), "A ticket of no bytes."),
            "ticket-4097": (put(good, 3, _ticket(bytes(16), 1, b"t" * 4097, 60)), "One byte too many."),
        }
        for name, (data, reason) in syntax.items():
            yield make.make(name, data, SYNTAX, reason, "Syntax", ("5.2", "5.6"), ids)
        bad: dict[str, tuple[bytes, str]] = {
            "first-bit": (bytes([right[0] ^ 0x80]) + right[1:], "One bit is enough to refuse."),
            "last-bit": (
                right[:-1] + bytes([right[-1] ^ 1]),
                "The last byte counts: comparing a prefix would accept it.",
            ),
            "zero": (bytes(32), "The value of an unset buffer."),
            "ticket-authenticator-instead": (extra, "The other HMAC under the same key has another label."),
            "under-zero-key": (
                hmac_sha256(bytes(32), b"openalts v1 " + make.symbol.replace("_", " ").encode()),
                "A key that was never derived is zero.",
            ),
        }
        for name, (value, reason) in bad.items():
            yield make.make(
                f"authenticator-{name}", put(good, 1, value), "BAD_FINISHED", reason, "Finished", ("5.6", "7.5"), ids
            )
        reason = "A party without keys could answer with the other role's Finished if both had one label."
        yield make.make("reflected", others, "BAD_FINISHED", reason, "Reflection", ("5.6", "7.5"), ids)
        wrong: dict[str, tuple[bytes, str]] = {
            "last-bit": (
                put(good, 2, extra[:-1] + bytes([extra[-1] ^ 1])),
                "The absence of a ticket is authentic too.",
            ),
            "zero": (put(good, 2, bytes(32)), "The value of an unset buffer."),
            "of-other-role": (put(good, 2, _wire.get(others, 2)), "The label holds the role."),
            "ticket-added": (put(good, 3, ticket), "A ticket that nobody authenticated."),
        }
        for name, (data, reason) in wrong.items():
            yield make.make(
                f"ticket-authenticator-{name}",
                data,
                "BAD_TICKET_AUTHENTICATOR",
                reason,
                "TicketAuthenticator",
                ("5.6", "7.6"),
                ("RES-2", requirement),
            )
        both_wrong = put(put(good, 1, bytes(32)), 2, bytes(32))
        yield make.make(
            "order-authenticator-first",
            both_wrong,
            "BAD_FINISHED",
            "The authenticator is judged first.",
            "CheckOrder",
            ("5.6",),
            ids,
        )
