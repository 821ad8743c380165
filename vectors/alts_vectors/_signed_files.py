"""Vectors of signed files (SPEC 13.2.3 to 13.3.2), written here from the text of the specification alone."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from alts_model.primitives import ed25519_public, ed25519_sign, sha256

from ._case import Group, Why, document
from ._files import Json
from ._world import HUMAN, MACHINE, NOW, WORKLOAD, World

POLICY, REVOCATIONS = b"\x89ALTSPOL", b"\x89ALTSREV"
CONTEXTS = {POLICY: b"openalts v1 policy file\x00", REVOCATIONS: b"openalts v1 revocation file\x00"}
Rules = tuple[tuple[str, int, str], ...]
RULES: Rules = (("ca", HUMAN, "user/*"), ("ca", MACHINE, "machine/**"), ("prod/cluster-master", WORKLOAD, "prod/**"))
_W = WORKLOAD << 56


def signed(magic: bytes, body: bytes, seed: bytes, counts: Sequence[int], **other: Any) -> bytes:
    """A whole file; `other` replaces parts of the header before it is signed, or the signature."""
    header = {
        "format": 1,
        "issued_at": NOW,
        "sequence": 7,
        "key_id": sha256(ed25519_public(seed)),
        "size": len(body),
        "digest": sha256(body),
        **other,
    }
    packed = b"".join(
        (
            magic,
            struct.pack(">IQQ", header["format"], header["issued_at"], header["sequence"]),
            header["key_id"],
            struct.pack(">QQQQ", *counts, header["size"]),
            header["digest"],
        )
    )
    assert len(packed) == 124
    signature: bytes = other.get("signature", ed25519_sign(seed, other.get("context", CONTEXTS[magic]) + packed))
    return packed + signature + body


def stream(data: bytes) -> bytes:
    """A zlib stream (RFC 1950) of stored blocks (RFC 1951): the same bytes whatever compresses here."""
    blocks = [data[at : at + 65535] for at in range(0, len(data), 65535)] or [b""]
    stored = b"".join(
        bytes([index == len(blocks) - 1]) + struct.pack("<HH", len(block), len(block) ^ 0xFFFF) + block
        for index, block in enumerate(blocks)
    )
    return b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(data))


def planes(gaps: Sequence[int]) -> list[bytes]:
    """Byte k of every gap, for k from 0."""
    return [bytes(gap >> 8 * k & 0xFF for gap in gaps) for k in range(8)]


def joined(streams: Sequence[bytes]) -> bytes:
    """The body of a revocation file."""
    return b"".join(struct.pack(">I", len(one)) + one for one in streams)


def body_of(ids: Sequence[int]) -> bytes:
    """The body for IDs in ascending order."""
    return joined([stream(plane) for plane in planes(gaps_of(ids))])


def gaps_of(ids: Sequence[int]) -> list[int]:
    """From zero to the first, and from each to the next."""
    return [after - before for before, after in zip((0, *ids), ids, strict=False)]


def counts_of(categories: Sequence[int]) -> tuple[int, int, int]:
    """How many there are of each."""
    return categories.count(HUMAN), categories.count(MACHINE), categories.count(WORKLOAD)


def policy_body(rules: Rules, deployment: str = "production") -> bytes:
    """SPEC 13.2.8."""
    text = {"deployment": deployment, "format": 1, "rules": [list(rule) for rule in rules]}
    return json.dumps(text, separators=(",", ":")).encode("ascii")


class _Writer:
    """Makes files under one key of a world."""

    def __init__(self, world: World, kind: bytes) -> None:
        self.seed = world.derive("signer of " + kind[1:].decode("ascii"))
        self.other = world.derive("another signer")
        self.kind = kind

    def file(self, body: bytes, counts: Sequence[int], **other: Any) -> bytes:
        """A file."""
        return signed(self.kind, body, other.pop("seed", self.seed), counts, **other)

    def input(self, data: bytes) -> Json:
        """Of a case."""
        return {"file": data.hex(), "keys": [ed25519_public(self.seed).hex()]}


def generate(seed: str) -> Json:
    """The file `signed_files`."""
    world = World(seed)
    return document(
        "signed_files",
        seed,
        "Policy files and revocation files (SPEC.md 13.2.3, 13.2.8, 13.3), at a machine that has accepted none before. "
        "The compressed streams hold stored blocks; a reader must take every zlib stream.",
        [_revocations(world), _bad_revocations(world), _policies(world), _bad_policies(world)],
    )


def _revocations(world: World) -> Group:
    group = Group("revocation_file", "Revocation files, and the IDs in them.")
    writer = _Writer(world, REVOCATIONS)
    sets: dict[str, tuple[list[int], str]] = {
        "empty": ([], "Nothing is revoked: eight streams of nothing."),
        "one": ([_W | 0x10000], "One ID; the first gap is counted from zero."),
        "run": ([_W | number for number in range(70000, 70040)], "Gaps of one."),
        "ends": (
            [1 << 56, (2 << 56) - 1, 2 << 56, (3 << 56) - 1, 3 << 56, (4 << 56) - 1],
            "First and last of each category.",
        ),
        "every-byte": (
            [_W | 1, _W | 0x100, _W | 0x10000, _W | 0x1000000, _W | 1 << 32, _W | 1 << 40, _W | 1 << 48],
            "Every plane but the top one has something to tell apart.",
        ),
        "scattered": (
            sorted({_W | int.from_bytes(world.derive(f"revoked {number}")[:3], "big") for number in range(200)}),
            "200 of 16 million.",
        ),
    }
    for name, (ids, reason) in sets.items():
        data = writer.file(body_of(ids), counts_of([number >> 56 for number in ids]))
        _add_revocations(group, name, reason, writer, data, ids)
    ids = [_W | number for number in range(70000, 70040)]
    for level in (1, 9):
        streams = [_fixed(plane) if level == 9 else stream(plane) for plane in planes(gaps_of(ids))]
        data = writer.file(joined(streams), counts_of([3] * 40), sequence=2**64 - level, issued_at=2**40)
        reason = "How well it is compressed is the writer's choice; numbers may be large."
        _add_revocations(group, f"large-numbers-{level}", reason, writer, data, ids, 2**64 - level, 2**40)
    return group


def _fixed(data: bytes) -> bytes:
    """A zlib stream of one block of stored data after an empty one: legal, and not what a compressor makes."""
    whole = stream(data)
    return whole[:2] + b"\x00\x00\x00\xff\xff" + whole[2:]


def _add_revocations(
    group: Group,
    name: str,
    reason: str,
    writer: _Writer,
    data: bytes,
    ids: list[int],
    sequence: int = 7,
    issued: int = NOW,
) -> None:
    why = Why(f"a revocation file: {name}", reason, ("REVOKE-3", "REVOKE-6", "REVOKE-7"), ("13.2", "13.3"), ("Honest",))
    group.add(
        name,
        why,
        input=writer.input(data),
        result={
            "verdict": "valid",
            "sequence": str(sequence),
            "issuedAt": issued,
            "revoked": [f"{number:016x}" for number in ids],
        },
    )


def _envelope(writer: _Writer, body: bytes, counts: Sequence[int]) -> dict[str, tuple[bytes, str, str]]:
    """What is wrong with a file of any kind: bytes, refusal, reason."""
    good = writer.file(body, counts)
    other_kind = POLICY if writer.kind == REVOCATIONS else REVOCATIONS
    return {
        "nothing": (b"", "not signed", "No bytes at all."),
        "raw-body": (body, "not signed", "A body without its envelope."),
        "magic": (b"\x88" + good[1:], "not signed", "Another first byte."),
        "other-kind": (
            signed(other_kind, body, writer.seed, counts),
            "not signed",
            "Signed by the same key as the other kind of file.",
        ),
        "header-cut": (good[:100], "truncated", "It ends in the header."),
        "signature-cut": (good[:187], "truncated", "It ends in the signature."),
        "body-cut": (good[:-1], "truncated", "The last byte is missing."),
        "body-longer": (good + b"\x00", "damaged", "Something follows."),
        "body-changed": (good[:-1] + bytes([good[-1] ^ 1]), "damaged", "The body is not the one that was signed."),
        "header-changed": (good[:14] + bytes([good[14] ^ 1]) + good[15:], "bad signature", "Another issue time."),
        "sequence-changed": (
            good[:27] + bytes([good[27] ^ 1]) + good[28:],
            "bad signature",
            "Another sequence number.",
        ),
        "signature-changed": (
            good[:124] + bytes([good[124] ^ 1]) + good[125:],
            "bad signature",
            "The signature itself.",
        ),
        "signature-zero": (good[:124] + bytes(64) + good[188:], "bad signature", "No signature."),
        "context": (
            writer.file(body, counts, context=CONTEXTS[other_kind]),
            "bad signature",
            "The signature is one over the other kind of file.",
        ),
        "unpinned": (writer.file(body, counts, seed=writer.other), "unknown key", "Rightly signed by somebody else."),
        "pinned-name": (
            writer.file(body, counts, seed=writer.other, key_id=sha256(ed25519_public(writer.seed))),
            "bad signature",
            "It names the pinned key and is signed by another.",
        ),
        "format-2": (writer.file(body, counts, format=2), "damaged", "A later format."),
        "sequence-0": (writer.file(body, counts, sequence=0), "damaged", "Sequence numbers begin with 1."),
        "digest": (writer.file(body, counts, digest=bytes(32)), "damaged", "The digest in the header is another."),
        "size-too-small": (
            writer.file(body, counts, size=len(body) - 1),
            "damaged",
            "The size in the header is another.",
        ),
    }


def _bad_revocations(world: World) -> Group:
    group = Group("revocation_file_invalid", "Revocation files that must be refused before anybody asks them.")
    writer = _Writer(world, REVOCATIONS)
    ids = [_W | 0x10000, _W | 0x10001, _W | 0x20000]
    counts = (0, 0, 3)
    parts = planes(gaps_of(ids))
    streams = [stream(plane) for plane in parts]
    signed_bodies: dict[str, tuple[bytes, Sequence[int], str]] = {
        "count-more": (body_of(ids), (0, 0, 4), "The header counts one more than there is."),
        "count-less": (body_of(ids), (0, 0, 2), "The header counts one less."),
        "count-other-category": (body_of(ids), (0, 1, 2), "The header counts other categories."),
        "twice": (joined([stream(plane) for plane in planes([ids[0], 0, 5])]), counts, "One ID comes twice."),
        "beyond-64-bits": (
            joined([stream(plane) for plane in planes([ids[0], 2**64 - 1, 1])]),
            counts,
            "The sum of the gaps has more than 64 bits.",
        ),
        "category-0": (body_of([5, 6, 7]), counts, "IDs of no category."),
        "category-4": (body_of([4 << 56, 4 << 56 | 1, 4 << 56 | 2]), counts, "IDs of a category that does not exist."),
        "seven-planes": (joined(streams[:7]), counts, "A plane is missing."),
        "nine-planes": (joined([*streams, stream(bytes(3))]), counts, "A plane too many."),
        "plane-short": (joined([stream(parts[0][:2]), *streams[1:]]), counts, "A plane holds one byte too few."),
        "plane-long": (joined([stream(parts[0] + b"\x00"), *streams[1:]]), counts, "A plane holds one byte too many."),
        "plane-open": (joined([streams[0][:-1], *streams[1:]]), counts, "A stream does not end."),
        "plane-tail": (joined([streams[0] + b"\x00", *streams[1:]]), counts, "Something follows a stream."),
        "plane-checksum": (
            joined([streams[0][:-1] + bytes([streams[0][-1] ^ 1]), *streams[1:]]),
            counts,
            "A stream's checksum is wrong.",
        ),
        "plane-garbage": (joined([b"\xff" * 20, *streams[1:]]), counts, "A plane is no stream."),
        "plane-size": (struct.pack(">I", 2**32 - 1) + body_of(ids)[4:], counts, "A size that reaches beyond the body."),
        "too-many": (body_of(ids), (0, 0, 2**26 + 1), "More IDs than a reader takes."),
        "body-empty": (b"", counts, "No body."),
    }
    cases = _envelope(writer, body_of(ids), counts)
    cases |= {
        name: (writer.file(body, many), "damaged", reason) for name, (body, many, reason) in signed_bodies.items()
    }
    for name, (data, refused, reason) in cases.items():
        flag = "FileForm" if refused == "damaged" else "FileSignature"
        why = Why(
            f"a revocation file: {name.replace('-', ' ')}", reason, ("REVOKE-6", "REVOKE-7"), ("13.2", "13.3"), (flag,)
        )
        group.add(name, why, input=writer.input(data), result={"verdict": "invalid", "refused": refused})
    return group


def _policies(world: World) -> Group:
    group = Group("policy_file", "Policy files, and the rules in them.")
    writer = _Writer(world, POLICY)
    for name, rules, reason in (
        ("usual", RULES, "One rule of each category."),
        ("nothing", (), "No rule: everything is denied."),
        ("repeated", RULES[:1] * 3, "A rule that is repeated is a matter for the lint, not for the reader."),
    ):
        data = writer.file(policy_body(rules), counts_of([rule[1] for rule in rules]))
        why = Why(f"a policy file: {name}", reason, ("POLICY-1", "POLICY-2"), ("13.2",), ("Honest",))
        group.add(
            name,
            why,
            input={**writer.input(data), "deployment": "production"},
            result={
                "verdict": "valid",
                "sequence": "7",
                "issuedAt": NOW,
                "policy": [{"issuer": rule[0], "category": rule[1], "identity": rule[2]} for rule in rules],
            },
        )
    return group


def _bad_policies(world: World) -> Group:
    group = Group("policy_file_invalid", "Policy files that must be refused.")
    writer = _Writer(world, POLICY)
    good, counts = policy_body(RULES), (1, 1, 1)
    text = good.decode("ascii")
    bodies = {
        "blank": (text.replace(":", ": ", 1), "White space."),
        "key-order": (
            text.replace('"deployment":"production","format":1', '"format":1,"deployment":"production"'),
            "Another order.",
        ),
        "extra-key": (text.replace('"format":1', '"format":1,"more":1'), "A key that nobody knows."),
        "format-2": (text.replace('"format":1', '"format":2'), "A later format."),
        "format-missing": (text.replace('"format":1,', ""), "No format."),
        "escaped": (text.replace("user", "\\u0075ser"), "The same text in another spelling."),
        "category-0": (text.replace('"ca",1', '"ca",0'), "No such category."),
        "category-text": (text.replace('"ca",1', '"ca","1"'), "A category is a number."),
        "pattern": (text.replace("user/*", "user*"), "A pattern that is none."),
        "rule-of-two": (text.replace(',"user/*"', ""), "A rule of two."),
        "not-json": (text[:-1], "Not JSON."),
        "list": ("[]", "JSON of another shape."),
        "empty": ("", "No body."),
    }
    cases = _envelope(writer, good, counts)
    cases |= {
        f"body-{name}": (writer.file(body.encode("ascii"), counts), "damaged", reason)
        for name, (body, reason) in bodies.items()
    }
    cases["count"] = (writer.file(good, (1, 1, 2)), "damaged", "The header counts other rules.")
    laboratory = writer.file(policy_body(RULES, "test"), counts)
    cases["other-deployment"] = (laboratory, "wrong deployment", "What a test cluster may allow, production may not.")
    for name, (data, refused, reason) in cases.items():
        flag = "FileForm" if refused == "damaged" else "FileSignature"
        why = Why(f"a policy file: {name.replace('-', ' ')}", reason, ("POLICY-1", "POLICY-2"), ("13.2",), (flag,))
        given = {**writer.input(data), "deployment": "production"}
        group.add(name, why, input=given, result={"verdict": "invalid", "refused": refused})
    return group
