"""What a Dolev-Yao attacker knows, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable

from alts_model.terms import ONE_WAY, PAIRING, Term, kem_ciphertext, public

BUILDABLE = ONE_WAY | PAIRING | {"dh_of_point"}


class Knowledge:
    """A set of terms closed under taking apart; `can` decides whether a term can be put together from it.

    Taking apart: tuples, messages and certificates always, the body of a signature, a ciphertext whose key can be
    derived. Putting together: every constructor whose arguments can be derived, to any depth. Immutable once made.
    """

    def __init__(self, terms: Iterable[Term], base: Knowledge | None = None) -> None:
        self._known: set[Term] = set() if base is None else set(base._known)
        self._sealed: set[Term] = set() if base is None else set(base._sealed)
        self.ciphertexts: list[Term] = [] if base is None else list(base.ciphertexts)
        self.issued: list[Term] = [] if base is None else list(base.issued)
        self._memo: dict[Term, bool] = {}
        self._absorb(terms)

    def extended(self, terms: Iterable[Term]) -> Knowledge:
        """This knowledge and more."""
        return Knowledge(terms, self)

    @property
    def known(self) -> frozenset[Term]:
        """The closed set."""
        return frozenset(self._known)

    def can(self, term: Term) -> bool:
        """Whether the attacker can derive a term."""
        if term in self._known or term.op == "const":
            return True
        answer = self._memo.get(term)
        if answer is None:
            self._memo[term] = answer = self._compose(term)
        return answer

    def _compose(self, term: Term) -> bool:
        if term.op == "dh":
            x, y = term.subterms
            return (self.can(x) and self.can(public(y))) or (self.can(y) and self.can(public(x)))
        if term.op == "kem_secret":
            encapsulation_key, randomness = term.subterms
            seed = encapsulation_key.subterms[0]
            return self.can(randomness) or (self.can(seed) and self.can(kem_ciphertext(encapsulation_key, randomness)))
        return term.op in BUILDABLE and all(map(self.can, term.subterms))

    def _absorb(self, terms: Iterable[Term]) -> None:
        pending = [*terms]
        while pending:
            term = pending.pop()
            if term not in self._known:
                self._known.add(term)
                if term.op in PAIRING:
                    pending += term.subterms
                    if term.op == "IssuedTicket":
                        self.issued.append(term)
                elif term.op == "sign":
                    pending.append(term.subterms[2])
                elif term.op in ("aead", "sealed"):
                    self._sealed.add(term)
                    if term.op == "aead":
                        self.ciphertexts.append(term)
            if not pending:
                # What has come in may be, or make up, the key of a ciphertext.
                self._memo.clear()
                opened = {box for box in self._sealed if self.can(box.subterms[0])}
                self._sealed -= opened
                pending += [box.subterms[2] for box in opened]
        self._memo.clear()
