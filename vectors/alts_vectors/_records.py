"""Vectors of `ALTSRP_GCM_AES128_REKEY` (SPEC 8): frames of both directions, around changes of keys, and bad ones."""

from __future__ import annotations

from typing import Protocol

from alts_model.algebra import key_schedule
from alts_model.codec import frame as encode_frame
from alts_model.concrete import ConcreteAlgebra
from alts_model.errors import Refused
from alts_model.primitives import aes128_gcm_seal
from alts_model.record import RecordMachine, record_key
from alts_model.tables import FRAME_LIMIT, REKEY_INTERVAL, Role

from ._case import Group, Why, document, joined
from ._files import Json
from ._world import World


class _Add(Protocol):
    def __call__(
        self, name: str, why: Why, data: bytes, error: str, *, first: int = 0, receiver: Role = "server", good: int = 0
    ) -> None: ...


REKEY = ("REC-5", "REC-6", "REC-8")
LARGEST = 16384
"""The frame size of most cases."""


def _peer(role: Role) -> Role:
    return "server" if role == "client" else "client"


def _seal(M: bytes, sender: Role, first: int, plaintexts: list[bytes]) -> list[bytes]:
    machine = RecordMachine(M, sender, send_counter=first)
    return [machine.seal(plaintext) for plaintext in plaintexts]


def _frames(M: bytes, sender: Role, first: int, count: int) -> list[dict[str, str]]:
    """Counter, AEAD key and nonce of each frame."""
    places = [record_key(M, sender, number) for number in range(first, first + count)]
    return [{"counter": p.counter.hex(), "aeadKey": p.key.hex(), "nonce": p.nonce.hex()} for p in places]


def generate(seed: str) -> Json:
    """The file `record`."""
    world = World(seed)
    algebra = ConcreteAlgebra()
    M = key_schedule(algebra, world.derive("record shared secret"), b"client init", b"server init", "c", "s").M
    return document(
        "record",
        seed,
        "Frames of ALTSRP_GCM_AES128_REKEY (SPEC.md section 8). `firstFrame` is the number of the first frame in its "
        "direction: an implementation without a way to begin there has to count up to it. 64-bit numbers are decimal "
        "strings.",
        [_valid(world, M), _invalid(world, M)],
    )


def _valid(world: World, M: bytes) -> Group:
    group = Group("record", "Frames that the sender must produce and the receiver must open.")

    def add(
        name: str, sender: Role, first: int, plaintexts: list[bytes], reason: str, *flags: str, sealed: bool = True
    ) -> None:
        wire = _seal(M, sender, first, plaintexts)
        group.add(
            name,
            Why(
                f"{len(plaintexts)} frame(s) from the {sender}, number {first} first",
                reason,
                REKEY,
                ("8.1", "8.2"),
                flags or ("Honest",),
            ),
            input={
                "M": M.hex(),
                "sender": sender,
                "firstFrame": str(first),
                "maxFrameSize": LARGEST,
                "plaintexts": [plaintext.hex() for plaintext in plaintexts],
                "sealable": sealed,
            },
            intermediate={"frames": _frames(M, sender, first, len(plaintexts))},
            result={"verdict": "valid", "wire": [frame.hex() for frame in wire]},
        )

    epochs = {
        "epoch-1-to-2": (2 * REKEY_INTERVAL, "The second change of keys: a key derived from a flag is wrong here."),
        "counter-byte-2-carries": (
            256 * REKEY_INTERVAL,
            "The carry into counter byte 3: the epoch is a number of six bytes, not of one.",
        ),
        "counter-2-32": (2**32, "Beyond 32 bits: counters and epochs that are too small wrap here, and repeat nonces."),
        "counter-2-48": (2**48, "Deep in the six bytes that the key derivation takes."),
    }
    roles: tuple[Role, Role] = ("client", "server")
    for role in roles:
        text = [b"first frame of the " + role.encode(), b"second", bytes(range(256)), b"\x00"]
        add(
            f"{role}-first-frames",
            role,
            0,
            text,
            "The first frames of a connection; the server's carry the direction bit, which is byte 11 of the nonce.",
            "Honest",
            "Direction",
        )
        add(
            f"{role}-rekey-boundary",
            role,
            REKEY_INTERVAL - 2,
            [b"two before", b"last under the first key", b"first under the second key", b"then"],
            "The change of keys after 2^16 frames: one frame early or late, and neither side understands the other.",
            "Rekey",
        )
        for name, (boundary, reason) in epochs.items():
            add(f"{role}-{name}", role, boundary - 1, [b"before", b"after"], reason, "Rekey")
        add(
            f"{role}-last-frames",
            role,
            FRAME_LIMIT - 2,
            [b"last but one", b"last"],
            "The last two frames that one record secret may protect are still legal.",
            "CounterLimit",
        )
    add("one-byte", "client", 5, [b"x"], "The smallest frame that delivers something.")
    full = (world.derive("payload") * 512)[: LARGEST - 24]
    add(
        "largest-frame",
        "server",
        9,
        [full],
        "A sender keeps the whole frame, length field included, within the negotiated size; so this is its largest.",
    )
    add(
        "empty-frame",
        "client",
        1,
        [b"", b"after the empty one"],
        "An empty frame is legal, delivers nothing, and counts; a receiver that does not count it loses the next.",
        "EmptyFrame",
        sealed=False,
    )
    return group


def _invalid(world: World, M: bytes) -> Group:
    group = Group("record_invalid", "What a receiver must refuse; the frames before it are delivered.")
    spec, requirements = ("8.3",), ("REC-5", "REC-8")

    def add(
        name: str, why: Why, data: bytes, error: str, *, first: int = 0, receiver: Role = "server", good: int = 0
    ) -> None:
        """`good`: how many frames of `data` still open, which the model confirms."""
        plaintexts, found = _open(M, receiver, first, data)
        assert (found, len(plaintexts)) == (error, good), (name, found, plaintexts)
        group.add(
            name,
            why,
            input={
                "M": M.hex(),
                "receiver": receiver,
                "firstFrame": str(first),
                "maxFrameSize": LARGEST,
                "wire": data.hex(),
            },
            result={"verdict": "invalid", "error": error, "plaintexts": [plaintext.hex() for plaintext in plaintexts]},
        )

    text = [b"zero", b"one", b"two", b"three"]
    frames = _seal(M, "client", 0, text)
    parts = {
        "tag-first-bit": (len(frames[0]) - 16, 0x80),
        "tag-last-bit": (-1, 0x01),
        "ciphertext-first-bit": (8, 0x80),
        "ciphertext-last-bit": (len(frames[0]) - 17, 0x01),
    }
    for name, (position, bit) in parts.items():
        spoilt = bytearray(frames[0])
        spoilt[position] ^= bit
        why = Why(
            f"one bit of the frame is flipped: {name}",
            "Whoever can flip a bit unseen can forge; comparing only a part of the tag would pass here.",
            requirements,
            spec,
            ("ModifiedFrame",),
        )
        add(name, why, bytes(spoilt), "BAD_RECORD")
    changed = {
        "tag-zero": (frames[0][:-16] + bytes(16), "An all-zero tag: the value of an unset buffer."),
        "bytes-exchanged": (
            frames[0][:8] + frames[0][9:10] + frames[0][8:9] + frames[0][10:],
            "Two ciphertext bytes exchanged: a tag that is a sum would not see it.",
        ),
        "plaintext-unprotected": (
            (4 + 4 + 16).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"zero" + bytes(16),
            "Payload in clear with a zero tag: no frame without protection is ever accepted.",
        ),
    }
    for name, (data, reason) in changed.items():
        add(name, Why(f"a forged frame: {name}", reason, requirements, spec, ("ModifiedFrame",)), data, "BAD_RECORD")
    orders: dict[str, tuple[list[int], int, str]] = {
        "replay": ([0, 0], 1, "The same frame twice: the counter has moved on."),
        "replay-later": ([0, 1, 2, 1], 3, "An old frame again, after others."),
        "skipped": ([0, 2], 1, "A frame is missing: what follows must not open."),
        "first-dropped": ([1], 0, "The first frame is missing."),
        "exchanged": ([1, 0], 0, "Two frames in the wrong order."),
    }
    for name, (order, good, reason) in orders.items():
        why = Why(f"frames {order} where 0, 1, 2 … is due", reason, requirements, spec, ("Replay",))
        add(name, why, joined(frames[number] for number in order), "BAD_RECORD", good=good)
    for receiver in ("client", "server"):
        role: Role = "client" if receiver == "client" else "server"
        why = Why(
            f"the {role} gets a frame that it sent itself",
            "Both directions share keys; only the direction bit keeps a reflected frame from opening.",
            requirements,
            ("8.2", "8.3"),
            ("Direction", "Reflection"),
        )
        add(f"reflected-to-{role}", why, _seal(M, role, 0, [b"mine"])[0], "BAD_RECORD", receiver=role)
    _rekey_faults(M, add)
    reason = (
        "The counter would be 0 again, and so would the nonce: this frame, which would open there, must be refused."
    )
    why = Why("a frame after the last of 2^64", reason, ("REC-4",), ("8.4",), ("CounterLimit",))
    add("counter-limit", why, _seal(M, "client", 0, [b"again"])[0], "COUNTER_LIMIT", first=FRAME_LIMIT)
    _headers(frames[0], add)
    return group


def _rekey_faults(M: bytes, add: _Add) -> None:
    late = _with_key_of(M, REKEY_INTERVAL, REKEY_INTERVAL - 1)
    early = _with_key_of(M, REKEY_INTERVAL - 1, REKEY_INTERVAL)
    cases = {
        "old-key-after-boundary": (REKEY_INTERVAL, late, "A sender that does not change keys must not be understood."),
        "new-key-before-boundary": (REKEY_INTERVAL - 1, early, "A sender that changes keys too early."),
    }
    for name, (first, data, reason) in cases.items():
        why = Why(f"frame {first} under the key of the other side of the boundary", reason, REKEY, ("8.2",), ("Rekey",))
        add(name, why, data, "BAD_RECORD", first=first)
    why = Why(
        "frame 0 again where frame 2^16 is due",
        "Both have the same low 16 bits; a counter that counts only those would repeat keys and nonces.",
        REKEY,
        ("8.2", "8.3"),
        ("Rekey", "Replay"),
    )
    add("frame-0-at-boundary", why, _seal(M, "client", 0, [b"zero"])[0], "BAD_RECORD", first=REKEY_INTERVAL)


def _headers(frame: bytes, add: _Add) -> None:
    """Refused from the header alone (SPEC 3.4): the payload need not be there."""

    def header(length: int, number: int = 6) -> bytes:
        return length.to_bytes(4, "little") + number.to_bytes(4, "little")

    cases = {
        "length-0": (header(0)[:4], "DECODE_ERROR", "Four bytes are enough to refuse: there is no room for a type."),
        "length-19": (header(19)[:4], "DECODE_ERROR", "One byte too short for type and tag."),
        "length-beyond-negotiated": (header(LARGEST + 1)[:4], "FRAME_TOO_LARGE", "One byte over the negotiated size."),
        "length-largest-number": (header(2**32 - 1)[:4], "FRAME_TOO_LARGE", "4 GiB announced: none may be allocated."),
        "length-sign-bit": (header(2**31 + 20)[:4], "FRAME_TOO_LARGE", "Negative as a signed number, yet huge."),
        "type-0": (header(20, 0), "UNEXPECTED_MESSAGE", "No such type."),
        "type-handshake": (header(20, 19), "UNEXPECTED_MESSAGE", "A handshake message after the handshake."),
        "type-alert": (
            header(20, 31),
            "UNEXPECTED_MESSAGE",
            "An alert has no place after the handshake: it is not authentic.",
        ),
        "type-high-byte": (header(20, 0x06000006), "UNEXPECTED_MESSAGE", "The type has four bytes, not one."),
        "type-big-endian": (header(20, 0x06000000), "UNEXPECTED_MESSAGE", "6 in the wrong byte order."),
    }
    for name, (data, error, reason) in cases.items():
        why = Why(f"a frame header: {name}", reason, ("REC-2", "REC-3"), ("3.4",), ("FrameHeader",))
        add(f"header-{name}", why, data, error)
    why = Why(
        "a good frame, then a bad header in the same segment",
        "What came before the fault is delivered, nothing after it.",
        ("REC-2", "REC-5"),
        ("3.4", "8.3"),
        ("FrameHeader",),
    )
    add("header-after-good-frame", why, frame + header(20, 7), "UNEXPECTED_MESSAGE", good=1)


def _with_key_of(M: bytes, number: int, key_of: int) -> bytes:
    """A frame with its own nonce but the key of another number."""
    own, other = record_key(M, "client", number), record_key(M, "client", key_of)
    return encode_frame("data", aes128_gcm_seal(other.key, own.nonce, b"wrong key"))


def _open(M: bytes, receiver: Role, first: int, data: bytes) -> tuple[list[bytes], str | None]:
    """What the model makes of bytes: plaintexts, then the error."""
    machine = RecordMachine(M, receiver, receive_counter=first)
    plaintexts = list[bytes]()
    while data:
        length = int.from_bytes(data[:4], "little")
        if len(data) >= 4 and length < 20:
            return plaintexts, "DECODE_ERROR"
        if len(data) >= 4 and length > LARGEST:
            return plaintexts, "FRAME_TOO_LARGE"
        if len(data) >= 8 and data[4:8] != (6).to_bytes(4, "little"):
            return plaintexts, "UNEXPECTED_MESSAGE"
        if len(data) < 4 + length:
            return plaintexts, None
        try:
            plaintexts.append(machine.open(data[8 : 4 + length]))
        except Refused as refusal:
            return plaintexts, refusal.error.name
        data = data[4 + length :]
    return plaintexts, None
