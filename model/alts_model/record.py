"""`ALTSRP_GCM_AES128_REKEY` over bytes (SPEC.md 8.2 to 8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from alts_model.codec import frame
from alts_model.errors import CounterLimit, Refused
from alts_model.primitives import aes128_gcm_open, aes128_gcm_seal, hmac_sha256
from alts_model.tables import FRAME_LIMIT, RECORD, Role, record_guard

TAG_SIZE = 16
OVERHEAD = 4 + 4 + TAG_SIZE
"""Bytes of a whole data frame beside its plaintext: length, type, tag."""


@dataclass(frozen=True, slots=True)
class RecordKey:
    """Where one frame stands: its 12-byte counter, 16-byte AEAD key and 12-byte AEAD nonce."""

    counter: bytes
    key: bytes
    nonce: bytes

    def __repr__(self) -> str:
        return f"RecordKey(counter={self.counter.hex()}, key and nonce hidden)"


@lru_cache(maxsize=256)
def _aead_key(kdf_key: bytes, window: bytes) -> bytes:
    return hmac_sha256(kdf_key, window + b"\x01")[:16]


def record_key(M: bytes, sender: Role, number: int) -> RecordKey:
    """Counter, key and nonce of the frame that `sender` numbers `number` (0 to 2^64 - 1). M is 128 bytes.

    Raises:
        ValueError: `number` is out of range.
    """
    if not 0 <= number < FRAME_LIMIT:
        raise ValueError("a frame's number has 64 bits")
    counter = number.to_bytes(8, "little") + bytes((0, 0, 0, 0x80 if sender == "server" else 0))
    mask = M[32:44]
    nonce = bytes(a ^ b for a, b in zip(counter, mask, strict=True))
    return RecordKey(counter, _aead_key(M[0:32], counter[2:8]), nonce)


class RecordMachine:
    """One end's two counters under one M, walking the record table. `role` is the role of this end.

    The counters may start anywhere, so that the rekey boundary (2^16) and the limit (2^64) can be reached at once.
    """

    def __init__(self, M: bytes, role: Role, *, send_counter: int = 0, receive_counter: int = 0) -> None:
        self._M = M
        self._role: Role = role
        self.send_counter = send_counter
        self.receive_counter = receive_counter
        self.send_state = _state(send_counter)
        self.receive_state = _state(receive_counter)

    def seal(self, plaintext: bytes) -> bytes:
        """One whole frame. Raises CounterLimit when all 2^64 frames are used."""
        if self.send_state != "COUNTING":
            self.send_state = "FAILED"
            raise CounterLimit("no frame left in this direction")
        sealed = seal(self._M, self._role, self.send_counter, plaintext)
        self.send_state = _advance(self.send_state, self.send_counter)
        self.send_counter += 1
        return frame("data", sealed)

    def open(self, payload: bytes) -> bytes:
        """The plaintext of a frame's payload (ciphertext and tag). Raises Refused (BAD_RECORD or COUNTER_LIMIT)."""
        if self.receive_state == "FAILED":
            raise Refused("BAD_RECORD", "the direction has failed before")
        if self.receive_state == "EXHAUSTED":
            self.receive_state = "FAILED"
            raise Refused("COUNTER_LIMIT")
        sender: Role = "server" if self._role == "client" else "client"
        plaintext = open_record(self._M, sender, self.receive_counter, payload)
        if plaintext is None:
            self.receive_state = "FAILED"
            raise Refused("BAD_RECORD")
        self.receive_state = _advance(self.receive_state, self.receive_counter)
        self.receive_counter += 1
        return plaintext


def _state(counter: int) -> str:
    if not 0 <= counter <= FRAME_LIMIT:
        raise ValueError("a counter is 0 to 2^64")
    return "EXHAUSTED" if counter == FRAME_LIMIT else "COUNTING"


def _advance(state: str, counter: int) -> str:
    (row,) = (row for row in RECORD if row.state == state and row.input == "frame" and record_guard(row.guard, counter))
    return row.next_state


def seal(M: bytes, sender: Role, number: int, plaintext: bytes) -> bytes:
    """Ciphertext and tag of one frame."""
    where = record_key(M, sender, number)
    return aes128_gcm_seal(where.key, where.nonce, plaintext)


def open_record(M: bytes, sender: Role, number: int, payload: bytes) -> bytes | None:
    """The plaintext, or None."""
    where = record_key(M, sender, number)
    return aes128_gcm_open(where.key, where.nonce, payload)
