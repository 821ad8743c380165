"""The handshake ciphers as data: sizes of their shares, and what their key material is made of (SPEC.md 7.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STATIC: Final = "X25519_STATIC_SHA256"
PFS: Final = "X25519_PFS_SHA256"
KCI: Final = "X25519_KCI_SHA256"
HYBRID: Final = "X25519_MLKEM768_PFS_SHA256"

X25519_SIZE: Final = 32
ENCAPSULATION_KEY_SIZE: Final = 1184
CIPHERTEXT_SIZE: Final = 1088


@dataclass(frozen=True, slots=True)
class Cipher:
    """One handshake cipher. Sizes are in bytes, 0 for no share; `terms` are the key material of mode FULL, in order."""

    name: str
    client_share: int
    server_share: int
    terms: tuple[str, ...]
    requirements: tuple[str, ...]

    @property
    def forward_secret(self) -> bool:
        """Whether an ephemeral-ephemeral result goes in (HS-10)."""
        return "ee" in self.terms

    @property
    def hybrid(self) -> bool:
        """Whether an ML-KEM-768 secret goes in."""
        return "K" in self.terms

    @property
    def resumable(self) -> bool:
        """Whether tickets are made and taken; the variant against key-compromise impersonation has none (TRADE-2)."""
        return "se" not in self.terms

    def material(self, resumed: bool) -> tuple[str, ...]:
        """The terms; in a resumed session the ticket's secret stands in the place of `ss`."""
        return ("secret", *self.terms[1:]) if resumed else self.terms


_ROWS: Final = (
    Cipher(STATIC, 0, 0, ("ss",), ("HS-1", "TRADE-4")),
    Cipher(PFS, X25519_SIZE, X25519_SIZE, ("ss", "ee"), ("HS-10",)),
    Cipher(KCI, X25519_SIZE, X25519_SIZE, ("ss", "es", "se", "ee"), ("TRADE-2",)),
    Cipher(
        HYBRID,
        X25519_SIZE + ENCAPSULATION_KEY_SIZE,
        X25519_SIZE + CIPHERTEXT_SIZE,
        ("ss", "ee", "K"),
        ("HS-10", "TRUST-7"),
    ),
)

CIPHERS: Final[dict[str, Cipher]] = {row.name: row for row in _ROWS}
"""Name to cipher, in the order of the specification."""
