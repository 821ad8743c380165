"""Every way for a certificate to be malformed, as data, signed rightly over the fault (SPEC 4.2 to 4.7)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from . import _bad_trust, _wire
from ._bad import Bad, bad_form
from ._world import CIPHER, HOUR, HUMAN, MACHINE, NOW, Chain, Patch, World


def cases(world: World) -> Iterator[Bad]:
    """All of them, in the order of SPEC 4.9."""
    yield from _encoding(world)
    yield from _identities(world)
    yield from _master(world)
    yield from _handshake(world)
    yield from _bad_trust.relation(world)
    yield from _bad_trust.trust(world)
    yield from _bad_trust.order(world)


def _unknown(data: bytes) -> bytes:
    return data + _wire.one(100, _wire.VARINT, b"\x01")


def _swap(data: bytes) -> bytes:
    first, second, *rest = _wire.fields(data)
    return _wire.join([second, first, *rest])


def _long_key(data: bytes) -> bytes:
    number, kind, value = _wire.fields(data)[0]
    size = _wire.varint(len(value)) if kind == _wire.BYTES else b""
    rest = _wire.join(_wire.fields(data)[1:])
    return _wire.varint(number << 3 | kind, extra=1) + size + value + rest


def _twice(data: bytes) -> bytes:
    parts = _wire.fields(data)
    return _wire.join([parts[0], *parts])


_ENCODINGS: dict[str, tuple[Patch, str]] = {
    "unknown-field": (_unknown, "An unknown field is a place to hide data under a good signature."),
    "reordered": (_swap, "The same fields in another order: one certificate, two digests."),
    "long-varint": (_long_key, "A varint that is longer than it needs to be."),
    "field-twice": (_twice, "A field twice: parsers take the last, or the first; the signer meant one."),
    "trailing-byte": (lambda data: data + b"\x00", "Bytes after the message."),
    "truncated": (lambda data: data[:-1], "The last byte is missing."),
    "empty": (lambda data: b"", "Nothing at all; the parser of an empty message succeeds."),
}


def _encoding(world: World) -> Iterator[Bad]:
    chain = world.chain("test/frontend")
    places = {
        "outer": "patch_certificate",
        "body": "patch_body",
        "master": "patch_master",
        "master-body": "patch_master_body",
    }
    for place, argument in places.items():
        for name, (patch, reason) in _ENCODINGS.items():
            yield bad_form(
                f"{place}-{name}",
                chain.but_patched(argument, patch),
                f"{place} of the certificate: {name}",
                reason,
                "4.2",
                ("Canonical",) if name not in ("truncated", "empty") else ("Undecodable",),
                requirements=("TRUST-8", "CRED-1", "CRED-2"),
            )
    for place, number in {"outer": 2, "outer-master": 3}.items():
        argument = "patch_certificate"
        missing = chain.but_patched(argument, functools.partial(_wire.drop, number=number))
        yield bad_form(f"{place}-missing", missing, "a part is missing", "Every part is needed.", "4.1")
    default = chain.but(patch_body=lambda data: data + _wire.one(10, _wire.BYTES, b""))
    default = default.but(handshake={"boundary": ""})
    yield bad_form(
        "body-explicit-default",
        default,
        "an empty boundary is written out",
        "A default that is written is a second encoding of the same certificate.",
        "4.2",
        ("Canonical",),
    )
    utf8 = chain.but(patch_body=lambda data: _wire.put(data, 3, b"test/\xff\xfe"))
    yield bad_form(
        "identity-not-utf8", utf8, "the identity is not UTF-8", "Strings of proto3 are UTF-8.", "4.2", ("Undecodable",)
    )
    long_patterns = (f"{number:x}" * 15 + "/" + "/".join(letter * 63 for letter in "pqr") for number in range(15))
    long_names = (CIPHER, *(f"{number:x}" * 64 for number in range(15)))
    padded = chain.but(
        master={"workload_identities": (*long_patterns, "test/**"), "handshake_ciphers": long_names},
        handshake={"handshake_ciphers": long_names},
    )
    big = padded.but(patch_certificate=lambda data: data + _wire.one(100, _wire.BYTES, bytes(8193 - 5 - len(data))))
    yield bad_form(
        "too-large",
        big,
        "8193 bytes",
        "Too large (no certificate that keeps all other rules is: this one is padded with an unknown field).",
        "4.9",
    )


def _identities(world: World) -> Iterator[Bad]:
    wrong = {
        "empty": ("", "An identity that is missing."),
        "empty-segment": ("test//x", "An empty segment: 'a//b' and 'a/b' must not be confused."),
        "leading-slash": ("/test", "An empty first segment."),
        "trailing-slash": ("test/", "An empty last segment."),
        "nine-segments": ("a/b/c/d/e/f/g/h/i", "One segment too many."),
        "segment-64": ("test/" + "a" * 64, "One character too many in a segment."),
        "length-256": ("/".join(["a" * 63] * 3 + ["b" * 62, "c"]), "One character too many in all."),
        "dot": ("test/.", "'.' invites path rules."),
        "dot-dot": ("test/../admin", "'..' invites path rules: somebody may normalise it."),
        "space": ("test/a b", "Only the listed characters."),
        "asterisk": ("test/*", "A pattern is no identity: it would match itself and more."),
        "non-ascii": ("test/caf\u00e9", "Letters beyond ASCII look alike; none is allowed."),
        "newline": ("test/x\n", "A newline at the end, which some regular expressions overlook."),
        "nul": ("test/x\0", "A NUL, where some languages stop reading."),
    }
    for name, (identity, reason) in wrong.items():
        chain = world.chain(identity, MACHINE)
        yield bad_form(f"identity-{name}", chain, f"identity: {name}", reason, "4.3", requirements=("TRUST-2",))
    issuer = world.chain("test/frontend").but(master={"issuer": "test//x"})
    yield bad_form(
        "issuer-malformed",
        issuer,
        "the issuer is no identity",
        "Policies compare it.",
        "4.6",
        requirements=("TRUST-2", "ISSUE-2"),
    )
    issuer = world.chain("test/frontend").but(master={"issuer": ""})
    yield bad_form(
        "issuer-missing", issuer, "no issuer", "Without it no policy can be applied.", "4.6", requirements=("ISSUE-2",)
    )
    master = world.chain("test/frontend").but(master={"identity": "a b"})
    yield bad_form(
        "master-identity-malformed",
        master,
        "the master's identity is none",
        "It is one too.",
        "4.6",
        requirements=("TRUST-2",),
    )


def _master(world: World) -> Iterator[Bad]:
    chain = world.chain("test/frontend")
    human = world.chain("test/alice", HUMAN)
    reserved = "Reserved: it may not be accepted before it is specified."
    fields: dict[str, tuple[Chain, dict[str, Any], str]] = {
        "version-0": (chain, {"version": 0}, "No version."),
        "version-2": (chain, {"version": 2}, "Another version may mean something else by the same fields."),
        "category-0": (chain, {"category": 0}, "No category: nobody knows which rules hold."),
        "category-4": (chain, {"category": 4}, "A category that does not exist."),
        "key-id-31": (chain, {"verification_key_id": bytes(31)}, "One byte too short."),
        "key-id-33": (chain, {"verification_key_id": bytes(33)}, "One byte too long."),
        "validity-reversed": (chain, {"not_before": NOW + HOUR, "not_after": NOW}, "It ends before it begins."),
        "revocation-category": (chain, {"revocation_id": MACHINE << 56 | 1}, "The ID would be looked up elsewhere."),
        "scheme-0": (chain, {"scheme": 0}, "No signature scheme."),
        "scheme-2": (chain, {"scheme": 2}, reserved),
        "scheme-3": (chain, {"scheme": 3}, reserved),
        "scheme-9": (chain, {"scheme": 9}, "A scheme that does not exist."),
        "key-31": (chain, {"public_key": bytes(31)}, "One byte too short."),
        "key-33": (chain, {"public_key": bytes(33)}, "One byte too long."),
        "ciphers-none": (chain, {"handshake_ciphers": ()}, "An empty list could be read as 'all'."),
        "ciphers-17": (chain, {"handshake_ciphers": (CIPHER, *(f"X{i}" for i in range(16)))}, "One entry too many."),
        "ciphers-twice": (chain, {"handshake_ciphers": (CIPHER, CIPHER)}, "An entry twice."),
        "cipher-65": (chain, {"handshake_ciphers": (CIPHER, "X" * 65)}, "One character too many."),
        "cipher-space": (chain, {"handshake_ciphers": (CIPHER, "X Y")}, "A space is not visible."),
        "cipher-empty": (chain, {"handshake_ciphers": (CIPHER, "")}, "An empty name."),
        "patterns-none": (chain, {"workload_identities": ()}, "It could be read as 'every workload'."),
        "patterns-17": (chain, {"workload_identities": ("test/**",) * 17}, "One pattern too many."),
        "pattern-partial": (chain, {"workload_identities": ("test/**", "test/front*")}, "No partial wildcards."),
        "pattern-double-star-first": (chain, {"workload_identities": ("test/**", "**/x")}, "'**' is only ever last."),
        "pattern-empty": (chain, {"workload_identities": ("test/**", "")}, "An empty pattern."),
        "pattern-dot-dot": (chain, {"workload_identities": ("test/**", "test/..")}, "Not a segment."),
        "pattern-256": (
            chain,
            {"workload_identities": ("test/**", "/".join(["a" * 63] * 3 + ["b" * 62, "*"]))},
            "256 characters.",
        ),
        "patterns-of-machine": (
            world.chain("test/m", MACHINE),
            {"workload_identities": ("test/**",)},
            "Only workload masters constrain.",
        ),
        "human-no-expiry": (human, {"not_after": 0}, "A human's certificate must expire."),
        "human-too-long": (
            human,
            {"not_before": NOW - HOUR, "not_after": NOW + 19 * HOUR + 1},
            "One second over 20 hours.",
        ),
    }
    for name, (base, change, reason) in fields.items():
        requirements = ("CRED-1", "ISSUE-5") if name.startswith("human") else ("CRED-1",)
        spoilt = base.but(master=change)
        yield bad_form(
            f"master-{name}", spoilt, f"master certificate: {name}", reason, "4.6", requirements=requirements
        )
    both: dict[str, tuple[Chain, dict[str, Any], str]] = {
        "category-0": (world.chain("test/m", MACHINE), {"category": 0, "revocation_id": 1}, "No category, in both."),
        "category-4": (
            world.chain("test/m", MACHINE),
            {"category": 4, "revocation_id": 4 << 56},
            "A category that does not exist, in both.",
        ),
        "validity-reversed": (chain, {"not_before": NOW + HOUR, "not_after": NOW}, "Both end before they begin."),
    }
    for name, (base, change, reason) in both.items():
        spoilt = base.but(master=change, handshake=change)
        yield bad_form(f"both-{name}", spoilt, f"both certificates: {name}", reason, "4.6")
    short = chain.but(master={"signature": bytes(63)})
    yield bad_form(
        "master-signature-63",
        short,
        "a signature of 63 bytes",
        "Signatures are 64 bytes.",
        "4.5",
        requirements=("CRED-1",),
    )


def _handshake(world: World) -> Iterator[Bad]:
    chain = world.chain("test/frontend")
    fields: dict[str, tuple[dict[str, Any], str]] = {
        "version-0": ({"version": 0}, "No version."),
        "version-2": ({"version": 2}, "Another version."),
        "category-0": ({"category": 0}, "No category."),
        "category-4": ({"category": 4}, "A category that does not exist."),
        "validity-reversed": ({"not_before": NOW + 2, "not_after": NOW + 1}, "It ends before it begins."),
        "revocation-category": ({"revocation_id": MACHINE << 56 | 1}, "The top byte is the category's."),
        "x25519-31": ({"x25519_public_key": bytes(31)}, "One byte too short."),
        "x25519-33": ({"x25519_public_key": bytes(33)}, "One byte too long."),
        "x25519-missing": ({"x25519_public_key": b""}, "No key."),
        "ciphers-none": ({"handshake_ciphers": ()}, "An empty list."),
        "ciphers-twice": ({"handshake_ciphers": (CIPHER, CIPHER)}, "An entry twice."),
        "boundary-two-segments": ({"boundary": "site/1"}, "A boundary is one segment."),
        "boundary-dot-dot": ({"boundary": ".."}, "Not a segment."),
        "boundary-64": ({"boundary": "s" * 64}, "One character too many."),
        "boundary-newline": ({"boundary": "site\n"}, "A newline at the end."),
    }
    for name, (change, reason) in fields.items():
        spoilt = chain.but(handshake=change)
        yield bad_form(
            f"handshake-{name}", spoilt, f"handshake certificate: {name}", reason, "4.7", requirements=("CRED-2",)
        )
    short = chain.but(handshake={"signature": bytes(65)})
    yield bad_form(
        "handshake-signature-65",
        short,
        "a signature of 65 bytes",
        "Signatures are 64 bytes.",
        "4.5",
        requirements=("CRED-2",),
    )
