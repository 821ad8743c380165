"""What the environment answers in an honest run: configurations, by the names of the variables that are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alts_proofs._errors import ProofsError
from alts_proofs.engine import _core as core
from alts_proofs.engine._terms import App, Symbol, app, tuple_symbol

_TOKEN = re.compile(r"\s*(?:([A-Za-z_][A-Za-z0-9_]*(?:@[0-9]+)?)|'([^']*)'|([(),]))")
_FRESH: dict[str, App] = {}


class PlanError(ProofsError):
    """A script asks the environment for something that the plan does not know, or a value cannot be read."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What the outermost copy of one number is answered.

    `values` gives for each variable a term of the script. In it ``'text'`` is a fresh value of the environment, another
    one each time it is asked for, and ``variable@2`` what a variable is in the outermost copy 2. A question for a
    variable of `silent` gets no answer: that is how one estate is the client's and another the server's.
    """

    values: Mapping[str, str]
    silent: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Plan:
    """The environment: estates, by number from 1. Each process in each of them is answered once.

    Questions that are asked in a file of `late` are answered when there is nothing else to do any more, and `times`
    times.
    """

    estates: tuple[Estate, ...]
    late: frozenset[str] = frozenset()
    times: int = 1

    def estate(self, number: int) -> Estate | None:
        """The estate, or None for one more than there are."""
        return self.estates[number - 1] if 0 < number <= len(self.estates) else None


class Words:
    """Reads values of a plan as terms of a model."""

    def __init__(self, model: core.Model) -> None:
        self._functions: dict[str, Symbol] = {sym.label: sym for sym in model.functions}
        self._functions |= {constant.sym.label: constant.sym for constant in model.constants}
        self._theory = model.theory
        self._asked: dict[str, int] = {}

    def read(self, text: str, variable: Callable[[int, str], App | None]) -> App | None:
        """The term; None while a variable that it needs has no value. Raises `PlanError` for what is no term."""
        tokens = [found.group().strip() for found in _TOKEN.finditer(text)]
        if "".join(tokens) != re.sub(r"\s", "", text) and "'" not in text:
            raise PlanError(f"no term: {text!r}")
        made, rest = self._term(tokens, variable)
        if rest:
            raise PlanError(f"no term: {text!r}")
        return made

    def _term(self, tokens: list[str], variable: Callable[[int, str], App | None]) -> tuple[App | None, list[str]]:
        if not tokens:
            raise PlanError("a term is missing")
        head, rest = tokens[0], tokens[1:]
        if head.startswith("'"):
            return self._fresh(head.strip("'")), rest
        if "@" in head:
            name, _, number = head.partition("@")
            return variable(int(number), name), rest
        args: list[App | None] = []
        if head == "(" or (rest and rest[0] == "("):
            rest = rest if head == "(" else rest[1:]
            while True:
                made, rest = self._term(rest, variable)
                args.append(made)
                if not rest or rest[0] not in (",", ")"):
                    raise PlanError("a parenthesis is missing")
                separator, rest = rest[0], rest[1:]
                if separator == ")":
                    break
        sym = tuple_symbol(len(args)) if head == "(" else self._functions.get(head)
        if sym is None or sym.arity != len(args):
            raise PlanError(f"the script has no {head} of {len(args)} arguments")
        known = tuple(arg for arg in args if arg is not None)
        if len(known) != len(args):
            return None, rest
        return app(sym, known), rest

    def _fresh(self, label: str) -> App:
        number = self._asked[label] = self._asked.get(label, 0) + 1
        text = label if number == 1 else f"{label} {number}"
        if text not in _FRESH:
            _FRESH[text] = app(Symbol(text, 0, "free"))
        return _FRESH[text]
