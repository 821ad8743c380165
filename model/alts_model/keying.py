"""Key shares and key material of the handshake ciphers (SPEC.md 7.2), over any algebra."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from alts_model.algebra import Algebra
from alts_model.ciphers import CIPHERS, Cipher
from alts_model.errors import Refused
from alts_model.messages import V, present


@dataclass(frozen=True, slots=True)
class Randomness(Generic[V]):
    """The fresh values of one connection, in named queues; each is taken from the front and never used twice.

    A client takes, at `start`, for each cipher that it offers and that has a share, in the order of its offer: one of
    `x25519` (32-byte private keys); for the hybrid also one of `ml_kem_seeds` (64 bytes, `d || z`). A server takes,
    when it has chosen a cipher that has a share: one of `x25519`; for the hybrid also one of `encapsulations`
    (32 bytes, the `m` of FIPS 203). Whoever makes a ticket takes one of `ticket_salts` (32 bytes); a connection makes
    one at most.
    """

    x25519: tuple[V, ...] = field(default=(), repr=False)
    ml_kem_seeds: tuple[V, ...] = field(default=(), repr=False)
    encapsulations: tuple[V, ...] = field(default=(), repr=False)
    ticket_salts: tuple[V, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class StaticKeys(Generic[V]):
    """Our static private key and the peer's static public key; a resumed session has none."""

    private: V = field(repr=False)
    peer: V


@dataclass(frozen=True, slots=True)
class Material(Generic[V]):
    """The key material, its terms by name in order, and at the server the share to send."""

    whole: V = field(repr=False)
    terms: tuple[tuple[str, V], ...] = field(repr=False)
    share: V | None = None


class KeyAgreement(Generic[V]):
    """What both ends compute. Every method raises Refused (BAD_KEY_SHARE) where the specification says so."""

    def __init__(self, algebra: Algebra[V]) -> None:
        self._algebra = algebra

    def client_shares(self, offered: tuple[str, ...], randomness: Randomness[V]) -> tuple[tuple[str, V], ...]:
        """The shares of ClientInit, in the order of the offer."""
        shares = []
        for name in offered:
            if CIPHERS[name].client_share:
                private, seed = self._own(name, offered, randomness)
                parts = [self._algebra.public(private)]
                parts += [] if seed is None else [self._algebra.kem_public(seed)]
                shares.append((name, self._algebra.join(tuple(parts))))
        return tuple(shares)

    def at_server(
        self, cipher: Cipher, static: StaticKeys[V] | V, share: V | None, randomness: Randomness[V]
    ) -> Material[V]:
        """The server's share and key material. `static` is a ticket's secret in a resumed session."""
        terms = self._first(static)
        if share is None:
            return self._material(cipher, terms)
        point, encapsulation_key = self._algebra.split(share)
        private = randomness.x25519[0]
        parts = [self._algebra.public(private)]
        terms["ee"] = self._dh(private, point)
        if isinstance(static, StaticKeys) and "es" in cipher.terms:
            terms["es"] = self._dh(static.private, point)
            terms["se"] = self._dh(private, static.peer)
        if encapsulation_key is not None:
            found = self._algebra.encapsulate(encapsulation_key, randomness.encapsulations[0])
            if found is None:
                raise Refused("BAD_KEY_SHARE", "an encapsulation key that fails the modulus check")
            terms["K"], ciphertext = found
            parts.append(ciphertext)
        return self._material(cipher, terms, self._algebra.join(tuple(parts)))

    def at_client(
        self,
        cipher: Cipher,
        static: StaticKeys[V] | V,
        share: V | None,
        offered: tuple[str, ...],
        randomness: Randomness[V],
    ) -> Material[V]:
        """The client's key material from the server's share."""
        terms = self._first(static)
        if share is None:
            return self._material(cipher, terms)
        point, ciphertext = self._algebra.split(share)
        private, seed = self._own(cipher.name, offered, randomness)
        terms["ee"] = self._dh(private, point)
        if isinstance(static, StaticKeys) and "es" in cipher.terms:
            terms["es"] = self._dh(private, static.peer)
            terms["se"] = self._dh(static.private, point)
        if ciphertext is not None:
            terms["K"] = self._algebra.decapsulate(present(seed), ciphertext)
        return self._material(cipher, terms)

    def names(self, cipher: Cipher, resumed: bool) -> tuple[str, ...]:
        """Which terms make up the key material."""
        return cipher.material(resumed)

    def _own(self, name: str, offered: tuple[str, ...], randomness: Randomness[V]) -> tuple[V, V | None]:
        before = [CIPHERS[other] for other in offered[: offered.index(name)]]
        private = randomness.x25519[sum(cipher.client_share > 0 for cipher in before)]
        if not CIPHERS[name].hybrid:
            return private, None
        return private, randomness.ml_kem_seeds[sum(cipher.hybrid for cipher in before)]

    def _first(self, static: StaticKeys[V] | V) -> dict[str, V]:
        if isinstance(static, StaticKeys):
            return {"ss": self._dh(static.private, static.peer)}
        return {"secret": static}

    def _dh(self, private: V, point: V) -> V:
        """Every result is compared with zero on its own (SPEC.md 7.2.1)."""
        shared = self._algebra.dh(private, point)
        if self._algebra.is_zero(shared):
            raise Refused("BAD_KEY_SHARE", "a Diffie-Hellman result of zero")
        return shared

    def _material(self, cipher: Cipher, terms: dict[str, V], share: V | None = None) -> Material[V]:
        used = tuple((name, terms[name]) for name in self.names(cipher, "secret" in terms))
        return Material(self._algebra.join(tuple(value for _, value in used)), used, share)


def needed(role: str, ciphers: tuple[str, ...], *, makes_tickets: bool) -> dict[str, int]:
    """How many values of each queue a connection may take, by queue name."""
    shared = [CIPHERS[name] for name in ciphers if CIPHERS[name].client_share]
    hybrid = sum(cipher.hybrid for cipher in shared)
    salts = int(makes_tickets and any(CIPHERS[name].resumable for name in ciphers))
    if role == "client":
        return {"x25519": len(shared), "ml_kem_seeds": hybrid, "encapsulations": 0, "ticket_salts": salts}
    return {"x25519": min(1, len(shared)), "ml_kem_seeds": 0, "encapsulations": min(1, hybrid), "ticket_salts": salts}
