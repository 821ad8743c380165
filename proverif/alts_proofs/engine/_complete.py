"""From clauses that keep hypotheses which are never selected to derivations that can be run.

Hints and cycles keep hypotheses from being resolved upon: what is left of a goal then speaks of facts that were not
derived. To run an attack all must be: here every hypothesis is resolved upon, the clauses with the fewest ones and the
smallest first, for a bounded number of steps. What comes of it is tried, not believed, so that nothing is lost if it
is not found.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from alts_proofs.engine._clauses import Clause, is_free
from alts_proofs.engine._facts import BLOCKING
from alts_proofs.engine._saturate import Prover, resolve
from alts_proofs.engine._terms import App

_STEPS = 250
_WAITING = 4000


def underived(clause: Clause) -> list[int]:
    """The hypotheses of `clause` that have to be derived still."""
    return [i for i, fact in enumerate(clause.hypotheses) if fact.sym not in BLOCKING and not is_free(fact)]


def completions(prover: Prover, clause: Clause) -> Iterator[Clause]:
    """What resolution makes of `clause` until nothing is left to be derived, the simplest first."""
    waiting: list[tuple[int, int, int, Clause]] = [(0, 0, 0, clause)]
    seen: set[tuple[App, tuple[App, ...], tuple[App, ...]]] = set()
    number = 0
    for _ in range(_STEPS):
        if not waiting:
            return
        one = heapq.heappop(waiting)[3]
        facts = underived(one)
        if not facts:
            yield one
            continue
        prover.tick(0, 0, len(waiting))
        index = max(facts, key=lambda i: one.hypotheses[i].size)
        for bucket in prover.by_conclusion.unifiable(one.hypotheses[index]):
            for other in bucket:
                for made in resolve(prover.normalizer, other, one, index):
                    said = (made.conclusion, made.hypotheses, made.neqs)
                    if said not in seen and len(waiting) < _WAITING:
                        seen.add(said)
                        number += 1
                        heapq.heappush(waiting, (len(underived(made)), made.size, number, made))
