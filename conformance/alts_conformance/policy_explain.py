"""`alts pki policy explain`: who may issue what, and is one policy looser than another? Answered with z3, then checked.

**Why this is sound and complete.** A pattern (SPEC 4.4) looks at an identity segment by segment and only compares whole
segments with the segments that it spells out. So, for the finitely many patterns of a question, an identity is a word
of 1 to 8 symbols over a finite alphabet: the segments that the patterns spell out, and one symbol, `fresh`, for all
others; no pattern tells two of those apart. Which such words exist as identities depends on their length alone (at most
255 characters), for which `fresh` takes a shortest segment that is not spelled out. Every question is thus a Boolean
one over a few bit-vectors, which z3 decides: "unsat" means that there is no identity at all, and a model is turned into
an identity that the policy evaluator of the implementation must judge as z3 did, before anything is printed. Theories
of strings are not needed, and they would give up completeness.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import z3

from alts import AltsError, Category, ConfigurationError, Policy, Rule, matches
from alts.policy import PolicyDocumentError, SignedFileRefused, covers, fresh, intersect, literals_of, shortest_fresh
from alts.policy import cli as policy_cli

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SEGMENTS, MAX_LENGTH = 8, 255
_TIMEOUT_MS = 60_000
_JSON_FORMAT = 1


class Undecided(Exception):
    """The solver gave no answer in time."""


class WrongAnswer(Exception):
    """The evaluator judges the solver's example otherwise: a fault of this program, and no answer."""


@dataclass(frozen=True, slots=True)
class Example:
    """An issuer and an identity."""

    issuer: str
    identity: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Issuers that match `issuer` may issue for the identities that match `identity`; `example` is one such pair."""

    issuer: str
    identity: str
    everything: bool
    """Whether `identity` is all that was asked about."""
    example: Example


@dataclass(frozen=True, slots=True)
class Excess:
    """A rule of one policy that allows what the other denies, and an example."""

    rule: Rule
    example: Example


class _Alphabet:
    """The symbols of a question: number 0 is `fresh`."""

    def __init__(self, patterns: Sequence[str]) -> None:
        literals = literals_of(patterns)
        self.segments = ["", *sorted(literals)]
        self.number = {segment: number for number, segment in enumerate(self.segments)}
        self.readable, self.shortest = fresh(literals), shortest_fresh(literals)
        self.bits = max(1, (len(self.segments) - 1).bit_length())
        self.sizes = [len(self.shortest), *map(len, self.segments[1:])]


class _Word:
    """An identity as z3 sees it: a number of segments and eight symbols."""

    def __init__(self, name: str, alphabet: _Alphabet) -> None:
        self._alphabet = alphabet
        self.count = z3.BitVec(f"{name}.count", 5)
        self._symbols = [z3.BitVec(f"{name}.{index}", alphabet.bits) for index in range(MAX_SEGMENTS)]

    def exists(self) -> z3.BoolRef:
        """The word stands for an identity."""
        parts = [z3.UGE(self.count, 1), z3.ULE(self.count, MAX_SEGMENTS)]
        parts += [z3.ULT(z3.ZeroExt(1, symbol), len(self._alphabet.segments)) for symbol in self._symbols]
        if MAX_SEGMENTS * (max(self._alphabet.sizes) + 1) > MAX_LENGTH + 1:
            nothing = z3.BitVecVal(0, 12)
            sizes = [
                z3.If(z3.UGT(self.count, index), self._size(symbol) + 1, nothing)
                for index, symbol in enumerate(self._symbols)
            ]
            parts.append(z3.ULE(z3.Sum(sizes), MAX_LENGTH + 1))
        return z3.And(parts)

    def _size(self, symbol: z3.BitVecRef) -> Any:
        size = z3.BitVecVal(1, 12)
        for length in sorted(set(self._alphabet.sizes) - {1}):
            numbers = [number for number, other in enumerate(self._alphabet.sizes) if other == length]
            size = z3.If(z3.Or([symbol == number for number in numbers]), z3.BitVecVal(length, 12), size)
        return size

    def matches(self, pattern: str) -> z3.BoolRef:
        """The pattern matches the word."""
        parts = pattern.split("/")
        if parts[-1] == "**":
            conditions = [z3.UGE(self.count, len(parts))]
            parts.pop()
        else:
            conditions = [self.count == len(parts)]
        numbers = self._alphabet.number
        conditions += [self._symbols[i] == numbers[part] for i, part in enumerate(parts) if part != "*"]
        return z3.And(conditions)

    def identity(self, model: z3.ModelRef) -> str:
        """The identity that a model of `exists` gives."""
        count = model.eval(self.count, model_completion=True).as_long()
        symbols = [model.eval(s, model_completion=True).as_long() for s in self._symbols[:count]]
        for other in (self._alphabet.readable, self._alphabet.shortest):
            identity = "/".join(self._alphabet.segments[symbol] or other for symbol in symbols)
            if len(identity) <= MAX_LENGTH:
                return identity
        raise WrongAnswer("a model stands for no identity")


class _Question:
    """One pair of words, issuer and identity, about which conditions are stated."""

    def __init__(self, patterns: Sequence[str]) -> None:
        alphabet = _Alphabet(patterns)
        self._issuer, self._identity = _Word("issuer", alphabet), _Word("identity", alphabet)
        self._segments = self._issuer.count + self._identity.count
        self._solver = z3.SolverFor("QF_BV")
        self._solver.set("timeout", _TIMEOUT_MS)
        self._solver.add(self._issuer.exists(), self._identity.exists())

    def allowed(self, rule: Rule) -> z3.BoolRef:
        """The rule, whatever its category, allows the pair."""
        return z3.And(self._issuer.matches(rule.issuer), self._identity.matches(rule.identity))

    def concerns(self, pattern: str) -> z3.BoolRef:
        """The identity matches the pattern."""
        return self._identity.matches(pattern)

    def example(self, *conditions: z3.BoolRef) -> Example | None:
        """Return a pair for which the conditions hold; None: there is none.

        Raises:
            Undecided: the solver ran out of time.
        """
        self._solver.push()
        try:
            self._solver.add(*conditions)
            result = self._solver.check()
            if result == z3.unsat:
                return None
            # short examples are easier to read: ask for fewer segments until there is none
            while result == z3.sat:
                model = self._solver.model()
                self._solver.add(z3.ULT(self._segments, model.eval(self._segments, model_completion=True)))
                result = self._solver.check()
            if result == z3.unknown:
                raise Undecided(self._solver.reason_unknown())
            return Example(self._issuer.identity(model), self._identity.identity(model))
        finally:
            self._solver.pop()


def _patterns(*rules: Rule) -> list[str]:
    return [pattern for rule in rules for pattern in (rule.issuer, rule.identity)]


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise WrongAnswer(what)


def who_may_issue(policy: Policy, category: Category, pattern: str) -> tuple[Grant, ...]:
    """Return who may issue certificates of a category for identities that match a pattern (POLICY-1).

    The grants are all there are: z3 has shown that the policy allows nobody else. None of them is part of another.

    Raises:
        Undecided: the solver ran out of time.
        WrongAnswer: the evaluator disagrees with the solver.
    """
    rules = [rule for rule in policy.rules if rule.category is category]
    question = _Question([*_patterns(*rules), pattern])
    grants: list[Grant] = []
    for rule in rules:
        example = question.example(question.allowed(rule), question.concerns(pattern))
        common = intersect(rule.identity, pattern)
        if example is None:
            continue
        if common is None:
            raise WrongAnswer(f"the solver and the patterns disagree about {rule}")
        allowed = policy.allows(example.issuer, category, example.identity)
        _require(allowed and matches(pattern, example.identity), f"{example} is not allowed, or not asked about")
        grants.append(Grant(rule.issuer, common, covers(rule.identity, pattern), example))
    kept = tuple(grant for index, grant in enumerate(grants) if not _part_of_another(index, grants))
    answered = z3.Or([question.allowed(Rule(grant.issuer, category, grant.identity)) for grant in kept])
    permitted = z3.Or([question.allowed(rule) for rule in rules])
    left_out = question.example(permitted, question.concerns(pattern), z3.Not(answered))
    _require(left_out is None, f"the answer leaves out {left_out}")
    return kept


def _part_of_another(index: int, grants: Sequence[Grant]) -> bool:
    one = grants[index]
    for position, other in enumerate(grants):
        if position != index and covers(other.issuer, one.issuer) and covers(other.identity, one.identity):
            both_ways = covers(one.issuer, other.issuer) and covers(one.identity, other.identity)
            if not both_ways or position < index:
                return True
    return False


def excess(policy: Policy, other: Policy) -> tuple[Excess, ...]:
    """Return every rule of `policy` that allows what `other` denies, with an example; empty: `policy` is not looser.

    Raises:
        Undecided: the solver ran out of time.
        WrongAnswer: the evaluator disagrees with the solver.
    """
    found = []
    for category in Category:
        ours = [rule for rule in policy.rules if rule.category is category]
        theirs = [rule for rule in other.rules if rule.category is category]
        question = _Question(_patterns(*ours, *theirs))
        permitted = z3.Or([question.allowed(rule) for rule in theirs])
        for rule in ours:
            example = question.example(question.allowed(rule), z3.Not(permitted))
            if example is None:
                continue
            allowed = policy.allows(example.issuer, category, example.identity)
            denied = not other.allows(example.issuer, category, example.identity)
            _require(allowed and denied, f"the evaluator does not see {example} as the solver does")
            found.append(Excess(rule, example))
    return tuple(found)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every command of `alts pki policy` to `parser`: `check`, `compile`, `show`, `key` and `explain`."""
    commands = parser.add_subparsers(dest="policy_command", required=True, metavar="COMMAND")
    policy_cli.add_commands(commands)
    explain = commands.add_parser("explain", help="who may issue what; is one policy looser than another?")
    questions = explain.add_subparsers(dest="explain_command", required=True, metavar="QUESTION")
    who = questions.add_parser(
        "who", help="who may issue certificates of a category for identities that match a pattern?"
    )
    who.add_argument("file", type=Path, metavar="FILE", help="policy document or signed policy file")
    who.add_argument("category", choices=[category.name.lower() for category in Category])
    who.add_argument("pattern", metavar="PATTERN", help="identity or identity pattern, such as 'corp/*'")
    compare = questions.add_parser("compare", help="is policy B looser than policy A, and by what example?")
    compare.add_argument("a", type=Path, metavar="A", help="policy document or signed policy file")
    compare.add_argument("b", type=Path, metavar="B", help="the same")
    for entry in (who, compare):
        entry.add_argument("--json", action="store_true", help="print one document")


def run(args: argparse.Namespace) -> int:
    """Run one command. `explain`: 0; 1: B is looser than A; 2: no such pattern; 3: unreadable, undecided, or wrong."""
    if args.policy_command != "explain":
        return policy_cli.run(args)
    try:
        return _who(args) if args.explain_command == "who" else _compare(args)
    except AltsError as error:
        print(f"alts pki policy explain: {error}", file=sys.stderr)
    except (Undecided, WrongAnswer) as error:
        print(f"alts pki policy explain: no answer: {type(error).__name__}: {error}", file=sys.stderr)
    return policy_cli.EXIT_FAILED


def _load(path: Path) -> tuple[Policy, bool]:
    """Read a policy, compiled or not, and tell whether it is a signed file. Raises AltsError, which names the file."""
    try:
        compiled, header, _ = policy_cli.load(path)
    except (PolicyDocumentError, SignedFileRefused) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return compiled.policy, header is not None


def _say_unverified(files: Sequence[Path]) -> None:
    for path in files:
        print(f"{path}: signature NOT VERIFIED (`alts pki policy show {path} --key PUB` does)")


def _who(args: argparse.Namespace) -> int:
    category = Category[args.category.upper()]
    try:
        Rule(args.pattern, category, args.pattern)
    except AltsError as error:
        print(f"alts pki policy explain who: {error}", file=sys.stderr)
        return policy_cli.EXIT_USAGE
    policy, signed = _load(args.file)
    grants = who_may_issue(policy, category, args.pattern)
    unverified = [args.file] if signed else []
    if args.json:
        listed = [
            {"issuer": g.issuer, "identity": g.identity, "everything": g.everything, "example": _pair(g.example)}
            for g in grants
        ]
        question = {"category": args.category, "pattern": args.pattern}
        answer = {"question": question, "unverified": [*map(str, unverified)], "grants": listed}
        print(json.dumps({"format": _JSON_FORMAT, **answer}, indent=2))
        return policy_cli.EXIT_OK
    _say_unverified(unverified)
    print(f"who may issue {args.category} certificates for {args.pattern}?")
    for grant in grants:
        extent = "all of it" if grant.everything else f"only {grant.identity}"
        print(f"  {grant.issuer}: {extent} (for example {grant.example.issuer} for {grant.example.identity})")
    print("  nobody else" if grants else "  nobody")
    return policy_cli.EXIT_OK


def _compare(args: argparse.Namespace) -> int:
    (a, a_signed), (b, b_signed) = (_load(path) for path in (args.a, args.b))
    unverified = [path for path, signed in ((args.a, a_signed), (args.b, b_signed)) if signed]
    looser, tighter = excess(b, a), excess(a, b)
    verdict = {
        (False, False): "B allows exactly what A allows",
        (True, False): "B is looser than A",
        (False, True): "B is stricter than A",
        (True, True): "neither: B allows what A denies, and denies what A allows",
    }[bool(looser), bool(tighter)]
    if args.json:
        lists = {
            name: [{"rule": _rule(entry.rule), "example": _pair(entry.example)} for entry in found]
            for name, found in (("looser", looser), ("stricter", tighter))
        }
        answer = {"verdict": verdict, "unverified": [*map(str, unverified)], **lists}
        print(json.dumps({"format": _JSON_FORMAT, **answer}, indent=2))
    else:
        _say_unverified(unverified)
        print(f"A = {args.a}\nB = {args.b}\n{verdict}")
        for found, who in ((looser, "only B"), (tighter, "only A")):
            for entry in found:
                kind, example = entry.rule.category.name.lower(), entry.example
                print(f"  {who} lets {example.issuer} issue a {kind} certificate for {example.identity}")
    return policy_cli.EXIT_FINDINGS if looser else policy_cli.EXIT_OK


def _pair(example: Example) -> dict[str, str]:
    return {"issuer": example.issuer, "identity": example.identity}


def _rule(rule: Rule) -> dict[str, str]:
    return {"issuer": rule.issuer, "category": rule.category.name.lower(), "identity": rule.identity}


def main() -> int:
    """Run as a program of its own, as `alts pki policy` does."""
    parser = argparse.ArgumentParser(prog="alts pki policy")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
