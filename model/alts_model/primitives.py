"""The primitives of the concrete interpretation: tlslite-ng and python-ecdsa for curves and AES, kyber-py for ML-KEM,
hashlib for the rest.

None of these is constant-time or fast. They are an oracle, chosen to share no code with the implementation.
"""

from __future__ import annotations

import hashlib
import hmac as _hmac
from functools import lru_cache
from typing import Any

import ecdsa
from kyber_py.ml_kem import ML_KEM_768
from tlslite.utils import python_aesgcm
from tlslite.utils.python_eddsakey import Python_EdDSAKey
from tlslite.utils.x25519 import x25519 as _x25519

X25519_BASE_POINT = (9).to_bytes(32, "little")


def sha256(data: bytes) -> bytes:
    """SHA-256; 32 bytes."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104); 32 bytes."""
    return _hmac.digest(key, data, "sha256")


def equal(left: bytes, right: bytes) -> bool:
    """Comparison that takes the same time for all inputs of one length."""
    return _hmac.compare_digest(left, right)


def hkdf_extract(salt: bytes, material: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869 section 2.2); 32 bytes."""
    return hmac_sha256(salt or bytes(32), material)


def hkdf_expand(prk: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 section 2.3); `size` bytes, at most 255 * 32.

    Raises:
        ValueError: `size` is out of range.
    """
    if not 0 <= size <= 255 * 32:
        raise ValueError("HKDF-Expand gives 0 to 8160 bytes")
    output = block = b""
    for index in range(1, -(-size // 32) + 1):
        block = hmac_sha256(prk, block + info + bytes((index,)))
        output += block
    return output[:size]


@lru_cache(maxsize=4096)
def x25519(scalar: bytes, point: bytes) -> bytes:
    """X25519 (RFC 7748): 32 bytes by 32 bytes to 32 bytes; zeros for a point of low order. Results are remembered.

    Raises:
        ValueError: an argument is not 32 bytes.
    """
    if len(scalar) != 32 or len(point) != 32:
        raise ValueError("X25519 takes a scalar and a point of 32 bytes")
    # The library writes into both of its arguments.
    return bytes(_x25519(bytearray(scalar), bytearray(point)))


def x25519_public(scalar: bytes) -> bytes:
    """The public key of a 32-byte X25519 private key."""
    return x25519(scalar, X25519_BASE_POINT)


@lru_cache(maxsize=1024)
def _signing_key(seed: bytes) -> Any:
    return ecdsa.SigningKey.from_string(seed, curve=ecdsa.Ed25519)


@lru_cache(maxsize=1024)
def ed25519_public(seed: bytes) -> bytes:
    """The raw public key (32 bytes) of a 32-byte Ed25519 seed (RFC 8032)."""
    return bytes(_signing_key(seed).get_verifying_key().to_string())


@lru_cache(maxsize=4096)
def ed25519_sign(seed: bytes, data: bytes) -> bytes:
    """An Ed25519 signature; 64 bytes. Results are remembered (signing is deterministic)."""
    return bytes(Python_EdDSAKey(None, _signing_key(seed)).hashAndSign(data))


@lru_cache(maxsize=8192)
def ed25519_verify(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is right; False for whatever is malformed. Results are remembered."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    try:
        key = ecdsa.VerifyingKey.from_string(public_key, curve=ecdsa.Ed25519)
        return bool(Python_EdDSAKey(key).hashAndVerify(signature, data))
    except (ecdsa.errors.MalformedPointError, ValueError):
        return False


@lru_cache(maxsize=256)
def _aes_gcm(key: bytes) -> Any:
    return python_aesgcm.new(bytearray(key))


def aes128_gcm_seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes = b"") -> bytes:
    """AES-128-GCM (NIST SP 800-38D): ciphertext and 16-byte tag. Key 16 bytes, nonce 12 bytes."""
    return aes_gcm_seal(key, nonce, plaintext, aad)


def aes128_gcm_open(key: bytes, nonce: bytes, sealed: bytes, aad: bytes = b"") -> bytes | None:
    """The plaintext, or None if the tag is wrong."""
    return aes_gcm_open(key, nonce, sealed, aad)


def aes_gcm_seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """The same with a key of 16 or 32 bytes (AES-256-GCM)."""
    return bytes(_aes_gcm(key).seal(bytearray(nonce), bytearray(plaintext), bytearray(aad)))


def aes_gcm_open(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes | None:
    """The plaintext, or None if the tag is wrong; the key has 16 or 32 bytes."""
    opened = _aes_gcm(key).open(bytearray(nonce), bytearray(sealed), bytearray(aad))
    return None if opened is None else bytes(opened)


_FIELD: int = 3329
"""q of FIPS 203."""


@lru_cache(maxsize=256)
def ml_kem_768_keys(seed: bytes) -> tuple[bytes, bytes]:
    """Encapsulation key (1184 bytes) and decapsulation key (2400 bytes) of a 64-byte seed `d || z` (FIPS 203)."""
    encapsulation_key, decapsulation_key = ML_KEM_768.key_derive(seed)
    return bytes(encapsulation_key), bytes(decapsulation_key)


def ml_kem_768_key_is_sound(encapsulation_key: bytes) -> bool:
    """The modulus check of FIPS 203 section 7.2: every 12-bit coefficient is below q."""
    for index in range(0, 1152, 3):
        three = int.from_bytes(encapsulation_key[index : index + 3], "little")
        if three & 0xFFF >= _FIELD or three >> 12 >= _FIELD:
            return False
    return True


@lru_cache(maxsize=256)
def ml_kem_768_encapsulate(encapsulation_key: bytes, randomness: bytes) -> tuple[bytes, bytes]:
    """Secret (32 bytes) and ciphertext (1088 bytes) for a sound key and 32 bytes of randomness. Remembered."""
    secret, ciphertext = ML_KEM_768._encaps_internal(encapsulation_key, randomness)
    return bytes(secret), bytes(ciphertext)


@lru_cache(maxsize=256)
def ml_kem_768_decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """The secret (32 bytes); for a wrong ciphertext of 1088 bytes another one (implicit rejection). Remembered."""
    return bytes(ML_KEM_768.decaps(ml_kem_768_keys(seed)[1], ciphertext))
