"""The policy against its rules (SPEC.md 4.10), and certificates against the master they come from (SPEC.md 4.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import z3

from alts_model.checks.execution import Truth, Universe, explore, formula, number, rebound_class
from alts_model.checks.matcher import language
from alts_model.checks.proving import Check, Example, Fault, Statement
from alts_model.errors import Refused
from alts_model.messages import HUMAN, WORKLOAD
from alts_model.syntax import matches
from alts_model.trust import PolicyRule, Trust, Verifier


@dataclass(frozen=True)
class Judge:
    """Who applies a policy, and how a rule judges."""

    verifier: type[Verifier[Any]] = Verifier
    rule: type[PolicyRule] = PolicyRule

    def allows(self, rules: Sequence[Any], issuer: Any, category: Any, identity: Any) -> bool:
        """What the verifier's step says under these rules."""
        view: Any = SimpleNamespace(master=SimpleNamespace(issuer=issuer), category=category, identity=identity)
        trust: Trust[Any] = Trust({}, tuple(rules), frozenset(), 0)
        try:
            self.verifier(cast(Any, None)).policy(view, trust)
        except Refused:
            return False
        return True


RULES = 3


def _judging(judge: Judge) -> Iterator[Statement]:
    texts = Universe("Text")
    relation = z3.Function("matches", texts.sort, texts.sort, z3.BoolSort())

    def holds(pattern: Any, value: Any) -> Any:
        return relation(pattern.term, value.term)

    rule_class = rebound_class(judge.rule, ("allows",), matches=lambda *pair: Truth(holds(*pair)))
    issuer, identity, category = texts.name("issuer"), texts.name("identity"), number("category")
    fields = [
        (texts.name(f"issuer {at}"), number(f"category {at}"), texts.name(f"identity {at}")) for at in range(RULES)
    ]
    rules = [rule_class(*cast(Any, one)) for one in fields]
    meant = [z3.And(holds(one[0], issuer), one[1].term == category.term, holds(one[2], identity)) for one in fields]
    known = [z3.And(value >= HUMAN, value <= WORKLOAD) for value in (category.term, *(one[1].term for one in fields))]

    def example_of(count: int) -> Callable[[Any], Example]:
        def value(model: Any, term: Any) -> Any:
            return model.eval(term, model_completion=True)

        def example(model: Any) -> Example:
            asked = texts.text(model, issuer), value(model, category.term).as_long(), texts.text(model, identity)
            shown = []
            for one in fields[:count]:
                whom = asked[0] if z3.is_true(value(model, holds(one[0], issuer))) else "no/one"
                what = asked[2] if z3.is_true(value(model, holds(one[2], identity))) else "no/one"
                shown.append((whom, value(model, one[1].term).as_long(), what))
            return {"rules": tuple(shown), "issuer": asked[0], "category": asked[1], "identity": asked[2]}

        return example

    def allowed(policy: Sequence[Any]) -> Any:
        paths = explore(lambda: judge.allows(policy, issuer, category, identity), known)
        return z3.Or(*(path.condition for path in paths if path.value))

    for count in range(RULES + 1):
        right = z3.Or(*meant[:count])
        policy = rules[:count]
        for path in explore(partial(judge.allows, policy, issuer, category, identity), known):
            kind, claim = ("allowed", right) if path.value else ("denied", z3.Not(right))
            yield Statement(kind, path.condition, claim, example_of(count))
    *others, last = rules
    for position in range(RULES):
        more = allowed([*others[:position], last, *others[position:]])
        claim = more == z3.Or(allowed(others), meant[-1])
        yield Statement("a rule more", z3.And(*known), claim, example_of(RULES))


def _judging_violates(judge: Judge, example: Example) -> str | None:
    rules, asked = example["rules"], (example["issuer"], example["category"], example["identity"])
    meant = any(rule == asked for rule in rules)
    if judge.allows([judge.rule(*rule) for rule in rules], *asked) == meant:
        return None
    return f"{'denied' if meant else 'allowed'}, though {'a' if meant else 'no'} rule says so"


class _DefaultAllow(Verifier[Any]):
    def policy(self, view: Any, trust: Any) -> None:
        if trust.policy:
            super().policy(view, trust)


class _FirstDecides(Verifier[Any]):
    def policy(self, view: Any, trust: Any) -> None:
        for rule in trust.policy:
            if rule.category == view.category:
                if not rule.allows(view.master.issuer, view.category, view.identity):
                    raise Refused("POLICY_DENIED")
                return
        raise Refused("POLICY_DENIED")


class _AnyIssuer(PolicyRule):
    __slots__ = ()

    def allows(self, issuer: Any, category: Any, identity: Any) -> Any:
        return category == self.category and matches(self.identity, identity)


JUDGING = Check(
    "policy: rules",
    "allowed exactly if some rule matches issuer, category and identity; an empty policy denies; a rule more, wherever "
    "it stands, allows what it matches and nothing else",
    f"0 to {RULES} rules over any relation of patterns and names; any() asks each rule on its own, so that more rules "
    "add nothing",
    ("POLICY-1", "POLICY-3"),
    frozenset({"allowed", "denied", "a rule more"}),
    Judge(),
    (
        Fault("default allow", "an empty policy allows", Judge(_DefaultAllow)),
        Fault("first decides", "the first rule of the category decides", Judge(_FirstDecides)),
        Fault("any issuer", "the issuer is not asked about", Judge(rule=_AnyIssuer)),
    ),
    _judging,
    _judging_violates,
)


# Workloads, machines and humans against their master.

PATTERN_LIMIT = 16
"""Most workload patterns of a master (SPEC.md 4.6)."""


def _belongs(verifier: type[Verifier[Any]], view: Any) -> bool:
    try:
        verifier(cast(Any, None)).names(view)
    except Refused:
        return False
    return True


def _belonging(verifier: type[Verifier[Any]]) -> Iterator[Statement]:
    texts = Universe("Text")
    holds = texts.predicate("matches the identity")
    bound = rebound_class(verifier, ("names",), matches=lambda pattern, _: holds(pattern))
    for count in range(PATTERN_LIMIT + 1):
        patterns = [texts.name(f"pattern {position}") for position in range(count)]
        own, master = texts.name("identity"), texts.name("master's identity")
        category, own_id, master_id = number("category"), number("ID"), number("master's ID")
        view = SimpleNamespace(
            category=category,
            identity=own,
            revocation_id=own_id,
            master=SimpleNamespace(identity=master, revocation_id=master_id, workload_identities=patterns),
        )

        def example(model: Any, patterns: list[Any] = patterns, view: Any = view) -> Example:
            yes = [z3.is_true(model.eval(holds(one).formula, model_completion=True)) for one in patterns]
            number_of = [
                model.eval(value.term, model_completion=True).as_long()
                for value in (view.category, view.revocation_id, view.master.revocation_id)
            ]
            same = z3.is_true(model.eval(formula(view.identity == view.master.identity), model_completion=True))
            return {
                "category": number_of[0],
                "identity": "prod/web",
                "master's identity": "prod/web" if same else "cluster/master",
                "patterns": tuple("prod/*" if one else "test/*" for one in yes),
                "IDs": tuple(number_of[1:]),
            }

        workload, human = formula(category == WORKLOAD), formula(category == HUMAN)
        same_id = z3.Or(z3.Not(human), formula(own_id == master_id))
        right = z3.If(
            workload, z3.Or(*(holds(one).formula for one in patterns)), z3.And(formula(own == master), same_id)
        )
        known = z3.And(category.term >= HUMAN, category.term <= WORKLOAD, workload == (count > 0))
        for path in explore(partial(_belongs, bound, view), (known,)):
            kind = f"{'workload' if count else 'other'} {'accepted' if path.value else 'refused'}"
            yield Statement(kind, path.condition, right if path.value else z3.Not(right), example)


def _belonging_violates(verifier: type[Verifier[Any]], example: Example) -> str | None:
    own, master = example["identity"], example["master's identity"]
    ids, patterns = example["IDs"], example["patterns"]
    its_master = SimpleNamespace(identity=master, revocation_id=ids[1], workload_identities=patterns)
    view = SimpleNamespace(category=example["category"], identity=own, revocation_id=ids[0], master=its_master)
    if example["category"] == WORKLOAD:
        right = any(language(pattern).fullmatch(own) for pattern in patterns)
    else:
        right = own == master and (example["category"] != HUMAN or ids[0] == ids[1])
    if _belongs(verifier, view) == right:
        return None
    return f"{own} is {'refused' if right else 'accepted'} under the master of {master}"


class _FirstPattern(Verifier[Any]):
    def names(self, view: Any) -> None:
        if view.category == WORKLOAD and view.master.workload_identities:
            if not matches(view.master.workload_identities[0], view.identity):
                raise Refused("BAD_CERTIFICATE")
            return
        super().names(view)


class _AnyMachine(Verifier[Any]):
    def names(self, view: Any) -> None:
        if view.category == WORKLOAD:
            if not any(matches(pattern, view.identity) for pattern in view.master.workload_identities):
                raise Refused("BAD_CERTIFICATE")
        elif view.category == HUMAN and view.revocation_id != view.master.revocation_id:
            raise Refused("BAD_CERTIFICATE")


class _AnyHuman(Verifier[Any]):
    def names(self, view: Any) -> None:
        if view.category == WORKLOAD:
            if not any(matches(pattern, view.identity) for pattern in view.master.workload_identities):
                raise Refused("BAD_CERTIFICATE")
        elif view.identity != view.master.identity:
            raise Refused("BAD_CERTIFICATE")


BELONGING: Check[type[Verifier[Any]]] = Check(
    "policy: bounds of the master",
    "a workload's identity matches one of the patterns signed in its master; a machine and a human have their master's "
    "identity, a human also its revocation ID",
    f"1 to {PATTERN_LIMIT} patterns (all that SPEC.md 4.6 admits), any identities and IDs",
    ("CRED-2", "ISSUE-6", "ISSUE-7", "REVOKE-5"),
    frozenset({"workload accepted", "workload refused", "other accepted", "other refused"}),
    cast(type[Verifier[Any]], Verifier),
    (
        Fault("first pattern", "only the first pattern of the master is looked at", _FirstPattern),
        Fault("any machine", "identities are not compared", _AnyMachine),
        Fault("any human", "a human's revocation IDs are not compared", _AnyHuman),
    ),
    _belonging,
    _belonging_violates,
)
