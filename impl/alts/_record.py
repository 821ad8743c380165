"""The record protocol ALTSRP_GCM_AES128_REKEY: sealing and opening runs of frames (SPEC 8; REC-2 to REC-8).

A `Sealer` and an `Opener` are one direction each. Both work on whole runs of frames in one call and encrypt or decrypt
in place from 8 KiB a frame upwards, where saving the copy outweighs the dearer call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ._errors import ErrorCode, FrameLimitError, PeerViolation, UsageError
from ._key_schedule import hmac_sha256
from ._messages import DATA_FRAME, FRAME_HEADER, LENGTH_FIELD_SIZE, TYPE_FIELD_SIZE
from ._table import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

KDF_KEY_SIZE, NONCE_SIZE, AEAD_KEY_SIZE, TAG_SIZE = 32, 12, 16, 16
KEY_MATERIAL_SIZE = KDF_KEY_SIZE + NONCE_SIZE
REKEY_INTERVAL = 1 << 16
"""Frames in one direction under one AEAD key (SPEC 8.2)."""
FRAME_LIMIT = 1 << 64
"""Frames in one direction under one M (SPEC 8.4, REC-4)."""
OVERHEAD = FRAME_HEADER.size + TAG_SIZE
"""Bytes that a frame adds to its plaintext: 24."""
MIN_LENGTH = TYPE_FIELD_SIZE + TAG_SIZE
_IN_PLACE = 8192
_SERVER_BIT = 0x80 << 88  # byte 11 of the little-endian counter


class _Direction:
    """One direction's counter, and the AEAD key that belongs to it (SPEC 8.2).

    Args:
        record_secret: M, of which the first 44 bytes are used.
        sender: who sends in this direction.
        first_frame: number of the first frame; tests use it to come near the rekey boundary and the limit.
    """

    def __init__(self, record_secret: bytes, sender: Role, first_frame: int = 0) -> None:
        if len(record_secret) < KEY_MATERIAL_SIZE:
            raise UsageError(f"record secret of {len(record_secret)} bytes, {KEY_MATERIAL_SIZE} are needed")
        if not 0 <= first_frame <= FRAME_LIMIT:
            raise UsageError("frame number is out of range")
        self._kdf_key = record_secret[:KDF_KEY_SIZE]
        self._mask = int.from_bytes(record_secret[KDF_KEY_SIZE:KEY_MATERIAL_SIZE], "little")
        self._direction = _SERVER_BIT if sender is Role.SERVER else 0
        self._epoch = -1
        self._aead: AESGCM | None = None
        self.frames = first_frame
        """Number of the next frame: how many this direction has protected so far."""

    def next_nonce(self) -> tuple[AESGCM, bytes]:
        """Return the AEAD and the nonce of the next frame, and count it.

        Raises:
            PeerViolation: COUNTER_LIMIT (SPEC 8.4).
        """
        number = self.frames
        if number >= FRAME_LIMIT:
            raise PeerViolation(ErrorCode.COUNTER_LIMIT, f"a frame after {FRAME_LIMIT} in one direction")
        epoch = number // REKEY_INTERVAL
        aead = self._aead
        if aead is None or epoch != self._epoch:
            # counter[2:8]: the frame number without its low 16 bits
            key = hmac_sha256(self._kdf_key, epoch.to_bytes(6, "little") + b"\x01")[:AEAD_KEY_SIZE]
            aead = self._aead = AESGCM(key)
            self._epoch = epoch
        self.frames = number + 1
        return aead, ((number | self._direction) ^ self._mask).to_bytes(NONCE_SIZE, "little")

    def remaining(self) -> int:
        """Return how many frames the limit still allows (REC-4)."""
        return FRAME_LIMIT - self.frames


class Sealer(_Direction):
    """Protects the frames that this endpoint sends.

    Args:
        record_secret: M.
        role: of this endpoint.
        max_frame_size: negotiated; a whole frame with its length field stays within it (SPEC 6.4).
        first_frame: see `_Direction`.
    """

    def __init__(self, record_secret: bytes, role: Role, max_frame_size: int, first_frame: int = 0) -> None:
        super().__init__(record_secret, role, first_frame)
        self.max_plaintext = max_frame_size - OVERHEAD
        """Largest plaintext of one frame, in bytes."""

    def frames_for(self, size: int) -> int:
        """Return how many frames `size` bytes of plaintext take."""
        return -(-size // self.max_plaintext)

    def seal(self, data: bytes | bytearray | memoryview) -> bytes | bytearray:
        """Return `data` as protected frames, none for no data (SPEC 8.1, 8.2).

        Raises:
            FrameLimitError: the limit leaves no room for all of it (REC-4); nothing is sealed then.
        """
        plaintext = memoryview(data).cast("B")
        if self.frames_for(len(plaintext)) > self.remaining():
            raise FrameLimitError(f"{FRAME_LIMIT} frames in one direction are protected, no more may be")
        if len(plaintext) < _IN_PLACE:
            return self._seal_one(plaintext) if plaintext else b""
        size = self.max_plaintext
        out = bytearray(len(plaintext) + OVERHEAD * self.frames_for(len(plaintext)))
        view = memoryview(out)
        at = 0
        for start in range(0, len(plaintext), size):
            chunk = plaintext[start : start + size]
            FRAME_HEADER.pack_into(out, at, len(chunk) + MIN_LENGTH, DATA_FRAME)
            at += FRAME_HEADER.size
            aead, nonce = self.next_nonce()
            aead.encrypt_into(nonce, chunk, None, view[at : at + len(chunk) + TAG_SIZE])
            at += len(chunk) + TAG_SIZE
        return out

    def _seal_one(self, plaintext: memoryview) -> bytes:
        aead, nonce = self.next_nonce()
        return FRAME_HEADER.pack(len(plaintext) + MIN_LENGTH, DATA_FRAME) + aead.encrypt(nonce, plaintext, None)


class Opener(_Direction):
    """Opens the frames that the peer sends; keeps an incomplete one until the rest arrives.

    Args:
        record_secret: M.
        role: of this endpoint; the frames are of the other.
        max_frame_size: negotiated; bounds a frame's length field (SPEC 3.4).
        first_frame: see `_Direction`.
    """

    def __init__(self, record_secret: bytes, role: Role, max_frame_size: int, first_frame: int = 0) -> None:
        super().__init__(record_secret, Role.SERVER if role is Role.CLIENT else Role.CLIENT, first_frame)
        self._max_length = max_frame_size
        self._pending = bytearray()

    @property
    def at_boundary(self) -> bool:
        """True if no part of a frame is waiting for its rest."""
        return not self._pending

    def open(self, data: bytes | bytearray | memoryview) -> Iterator[bytes | memoryview]:
        """Take bytes and yield the plaintext of each complete frame in turn; a view stays valid as long as it is held.

        Raises:
            PeerViolation: DECODE_ERROR, FRAME_TOO_LARGE or UNEXPECTED_MESSAGE from a header, before its payload is
                kept (SPEC 3.4); BAD_RECORD for a frame that does not open (SPEC 8.3); COUNTER_LIMIT. Frames before
                the bad one have been yielded by then.
        """
        self._pending += data
        buffer, self._pending = self._pending, bytearray()
        view = memoryview(buffer)
        at = 0
        while (end := self._frame_end(buffer, at)) is not None:
            body = view[at + FRAME_HEADER.size : end]
            at = end
            plaintext = self._open_one(body)
            if len(plaintext):
                yield plaintext
        if at == 0:
            view.release()
            self._pending = buffer  # nothing was complete: keep growing the same buffer
        else:
            self._pending = bytearray(view[at:])

    def _frame_end(self, buffer: bytearray, at: int) -> int | None:
        """Return where the frame at `at` ends, or None if it is incomplete; checks what its header tells so far."""
        have = len(buffer) - at
        if have < LENGTH_FIELD_SIZE:
            return None
        length = int.from_bytes(buffer[at : at + LENGTH_FIELD_SIZE], "little")
        if length < MIN_LENGTH:
            raise PeerViolation(ErrorCode.DECODE_ERROR, f"frame length {length} has no room for type and tag")
        if length > self._max_length:
            raise PeerViolation(ErrorCode.FRAME_TOO_LARGE, f"frame of {length} bytes, {self._max_length} negotiated")
        if have < FRAME_HEADER.size:
            return None
        number = int.from_bytes(buffer[at + LENGTH_FIELD_SIZE : at + FRAME_HEADER.size], "little")
        if number != DATA_FRAME:
            raise PeerViolation(ErrorCode.UNEXPECTED_MESSAGE, f"frame type {number} after the handshake")
        return at + LENGTH_FIELD_SIZE + length if have >= LENGTH_FIELD_SIZE + length else None

    def _open_one(self, body: memoryview) -> bytes | memoryview:
        aead, nonce = self.next_nonce()
        try:
            if len(body) < _IN_PLACE:
                return aead.decrypt(nonce, body, None)
            plaintext = body[:-TAG_SIZE]
            aead.decrypt_into(nonce, body, None, plaintext)
            return plaintext
        except InvalidTag:
            raise PeerViolation(ErrorCode.BAD_RECORD, f"frame {self.frames - 1} does not open") from None
