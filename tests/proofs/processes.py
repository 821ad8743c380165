"""When what happens in one script can happen in another: its process is the other's with parts left out."""

from __future__ import annotations

from collections.abc import Sequence

from alts_proofs.engine import _core as core

_Names = dict[core.Variable, core.Variable]


def is_part_of(part: core.Model, whole: core.Model) -> bool:
    """Whether each run of `part` is one of `whole`, up to what `whole` does besides.

    So it is if the process of `part` is that of `whole` in which subprocesses are replaced by nothing and events left
    out, the functions mean the same, and the attacker is able to do as much: a subprocess need not run, and an event
    stops nobody. Terms and checks must be the same.
    """
    return (
        part.passive == whole.passive
        and _meanings(part).items() <= _meanings(whole).items()
        and _process(part.process, whole.process, {})
    )


def _meanings(model: core.Model) -> dict[str, str]:
    """Everything that terms are made of, with the rules for it."""
    theory = model.theory
    words = {sym.label: f"{sym.kind} {sym.arity} {sym.private}" for sym in model.functions}
    words |= {constant.sym.label: f"free {constant.sym.private}" for constant in model.constants}
    for sym, rules in theory.rules.items():
        words[sym.label] = f"{sym in theory.ordered} {rules}"
    for sym, rewrites in (*theory.rewrites.items(), *theory.swaps.items()):
        words[sym.label] += f" {rewrites}"
    return words


def _process(part: core.Node, whole: core.Node, names: _Names) -> bool:
    match part, whole:
        case core.Nil(), _:
            return True
        case core.Par(parts), core.Par(wholes):
            return _embed(parts, wholes, names)
        case _, core.Par(wholes):
            return any(_process(part, one, names) for one in wholes)
        case core.Repl(), core.Repl():
            return _process(part.body, whole.body, names)
        case core.New(), core.New():
            return _process(part.body, whole.body, names | {part.variable: whole.variable})
        case core.In(), core.In():
            inner = dict(names)
            return (
                _term(part.channel, whole.channel, names)
                and _pattern(part.pattern, whole.pattern, names, inner)
                and _process(part.body, whole.body, inner)
            )
        case core.Out(), core.Out():
            return (
                _term(part.channel, whole.channel, names)
                and _term(part.message, whole.message, names)
                and _process(part.body, whole.body, names)
            )
        case core.LetIn(), core.LetIn():
            inner = dict(names)
            return (
                _term(part.value, whole.value, names)
                and _pattern(part.pattern, whole.pattern, names, inner)
                and _process(part.body, whole.body, inner)
                and _process(part.other, whole.other, names)
            )
        case core.Test(), core.Test():
            return (
                _term(part.condition, whole.condition, names)
                and _process(part.then, whole.then, names)
                and _process(part.other, whole.other, names)
            )
        case core.Event(), core.Event() if part.event.label == whole.event.label:
            return _terms(part.args, whole.args, names) and _process(part.body, whole.body, names)
        case _, core.Event():
            return all(map(_cannot_fail, whole.args)) and _process(part, whole.body, names)
        case core.Insert(), core.Insert():
            return (
                part.table.label == whole.table.label
                and _terms(part.args, whole.args, names)
                and _process(part.body, whole.body, names)
            )
        case core.Get(), core.Get():
            inner = dict(names)
            return (
                part.table.label == whole.table.label
                and _patterns(part.parts, whole.parts, names, inner)
                and _term(part.condition, whole.condition, inner)
                and _process(part.body, whole.body, inner)
                and _process(part.other, whole.other, names)
            )
        case core.Phase(), core.Phase():
            return part.number == whole.number and _process(part.body, whole.body, names)
    return False


def _cannot_fail(term: core.Expr) -> bool:
    match term:
        case core.Read():
            return True
        case core.Apply(sym, args):
            return sym.kind in ("constructor", "data", "free") and all(map(_cannot_fail, args))
    return False


def _embed(parts: Sequence[core.Node], wholes: Sequence[core.Node], names: _Names) -> bool:
    """Whether each of `parts` has a place in one of `wholes`, in their order."""
    rest = iter(wholes)
    return all(isinstance(part, core.Nil) or any(_process(part, one, names) for one in rest) for part in parts)


def _terms(parts: Sequence[core.Expr], wholes: Sequence[core.Expr], names: _Names) -> bool:
    return len(parts) == len(wholes) and all(_term(*pair, names) for pair in zip(parts, wholes, strict=True))


def _term(part: core.Expr, whole: core.Expr, names: _Names) -> bool:
    match part, whole:
        case core.Read(), core.Read():
            return names.get(part.variable) is whole.variable
        case core.Apply(), core.Apply():
            return part.sym.label == whole.sym.label and _terms(part.args, whole.args, names)
        case core.Failure(), core.Failure():
            return True
        case core.Choose(), core.Choose():
            return _terms((part.condition, part.then, part.other), (whole.condition, whole.then, whole.other), names)
        case core.Bound(), core.Bound():
            inner = dict(names)
            return (
                _term(part.value, whole.value, names)
                and _pattern(part.pattern, whole.pattern, names, inner)
                and _term(part.body, whole.body, inner)
                and _term(part.other, whole.other, names)
            )
        case core.Fresh(), core.Fresh():
            return _term(part.body, whole.body, names | {part.variable: whole.variable})
    return False


def _patterns(parts: Sequence[core.Pattern], wholes: Sequence[core.Pattern], names: _Names, inner: _Names) -> bool:
    return len(parts) == len(wholes) and all(_pattern(*pair, names, inner) for pair in zip(parts, wholes, strict=True))


def _pattern(part: core.Pattern, whole: core.Pattern, names: _Names, inner: _Names) -> bool:
    """The variables that the patterns bind go into `inner`."""
    match part, whole:
        case core.Take(), core.Take():
            if part.variable is not None and whole.variable is not None:
                inner[part.variable] = whole.variable
            return (part.variable is None) == (whole.variable is None)
        case core.Same(), core.Same():
            return _term(part.term, whole.term, inner)
        case core.Part(), core.Part():
            return part.sym.label == whole.sym.label and _patterns(part.parts, whole.parts, names, inner)
    return False
