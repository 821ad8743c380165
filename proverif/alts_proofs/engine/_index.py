"""Finds clauses by what stands at a few places of one of their facts.

The print of a fact lists the symbols at fixed positions of its telling argument. Two prints are compared position by
position, once: facts with prints that do not fit can neither unify nor be one more general than the other.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from alts_proofs.engine._facts import INJ_END
from alts_proofs.engine._terms import App, Symbol, Term

_Item = TypeVar("_Item")
_Feature = Symbol | str
_Print = tuple[_Feature, ...]
# No symbol, but a variable; below a variable; no such position.
_OPEN, _BELOW, _NONE = "open", "below", "none"
_WIDTH = 4
_DEEPER = 3


def print_of(fact: App) -> _Print:
    """What stands at the positions of `fact`, its predicate first."""
    if not fact.args:
        return (fact.sym,)
    # The message of mess(channel, message); of all other facts the first argument.
    telling = fact.args[1] if fact.sym.arity == 2 and fact.sym is not INJ_END else fact.args[0]
    found: list[_Feature] = [fact.sym]
    children = _below(telling, _WIDTH, found)
    for child in children[:_DEEPER]:
        _below(child, _DEEPER, found)
    return tuple(found)


def _below(term: Term | str, width: int, found: list[_Feature]) -> list[Term | str]:
    """Notes what stands at `term`; gives what stands below it, `width` positions."""
    if isinstance(term, App):
        found.append(term.sym)
        children: list[Term | str] = list(term.args[:width])
        children += [_NONE] * (width - len(children))
    elif isinstance(term, int):
        found.append(_OPEN)
        children = [_BELOW] * width
    else:
        found.append(term)
        children = [term] * width
    return children


def _unifiable(one: _Print, other: _Print) -> bool:
    for a, b in zip(one, other, strict=False):
        if a is b or a is _BELOW or b is _BELOW:
            continue
        if a is _NONE or b is _NONE or (a is not _OPEN and b is not _OPEN):
            return False
    return True


def _more_general(general: _Print, special: _Print) -> bool:
    for a, b in zip(general, special, strict=False):
        if a is b or a is _BELOW:
            continue
        if a is not _OPEN or b is _NONE or b is _BELOW:
            return False
    return True


class Index(Generic[_Item]):
    """Clauses, or whatever else, by the print of a fact."""

    def __init__(self) -> None:
        self.buckets: dict[_Print, list[_Item]] = {}
        self.alike: dict[Symbol, list[_Print]] = {}
        """The prints that are there, by predicate."""
        self.met: dict[Symbol, dict[tuple[str, _Print], list[list[_Item]]]] = {}

    def add(self, fact: App, item: _Item) -> None:
        """Files `item` under `fact`."""
        key = print_of(fact)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = []
            self.alike.setdefault(fact.sym, []).append(key)
            self.met[fact.sym] = {}
        bucket.append(item)

    def remove(self, fact: App, item: _Item) -> None:
        """Takes it out again."""
        self.buckets[print_of(fact)].remove(item)

    def unifiable(self, fact: App) -> list[list[_Item]]:
        """Buckets in which facts may unify with `fact`."""
        return self._find("unifiable", fact)

    def general(self, fact: App) -> list[list[_Item]]:
        """Buckets in which facts may be more general than `fact`."""
        return self._find("general", fact)

    def special(self, fact: App) -> list[list[_Item]]:
        """Buckets in which facts may be more special than `fact`."""
        return self._find("special", fact)

    def _find(self, what: str, fact: App) -> list[list[_Item]]:
        alike = self.alike.get(fact.sym)
        if alike is None:
            return []
        key = print_of(fact)
        met = self.met[fact.sym]
        found = met.get((what, key))
        if found is None:
            if what == "unifiable":
                found = [self.buckets[one] for one in alike if _unifiable(one, key)]
            elif what == "general":
                found = [self.buckets[one] for one in alike if _more_general(one, key)]
            else:
                found = [self.buckets[one] for one in alike if _more_general(key, one)]
            met[what, key] = found
        return found
