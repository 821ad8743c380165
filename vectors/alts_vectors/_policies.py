"""Vectors of policies (SPEC 4.4, 4.10): decision tables, and patterns that are none."""

from __future__ import annotations

from alts_model.syntax import is_pattern
from alts_model.trust import PolicyRule

from ._case import Group, Why, document
from ._files import Json
from ._world import HUMAN, MACHINE, WORKLOAD

Rules = tuple[tuple[str, int, str], ...]

PRODUCTION: Rules = (
    ("prod/cluster-master", WORKLOAD, "prod/**"),
    ("ca", HUMAN, "user/*"),
    ("ca", MACHINE, "machine/*/*"),
    ("*/cluster-master", WORKLOAD, "test/*/job"),
)
_QUESTIONS: dict[str, tuple[Rules, tuple[tuple[str, int, str], ...]]] = {
    "nothing": ((), (("ca", HUMAN, "user/alice"), ("a", WORKLOAD, "a"))),
    "production": (
        PRODUCTION,
        (
            ("prod/cluster-master", WORKLOAD, "prod/search"),
            ("prod/cluster-master", WORKLOAD, "prod/a/b/c"),
            ("prod/cluster-master", WORKLOAD, "prod"),
            ("prod/cluster-master", WORKLOAD, "production/a"),
            ("prod/cluster-master", MACHINE, "prod/search"),
            ("user/mallory", WORKLOAD, "prod/search"),
            ("ca", HUMAN, "user/alice@example"),
            ("ca", HUMAN, "user"),
            ("ca", HUMAN, "user/a/b"),
            ("ca", MACHINE, "user/alice"),
            ("ca", MACHINE, "machine/7/8"),
            ("ca", MACHINE, "machine/7"),
            ("ca/x", HUMAN, "user/alice"),
            ("x/cluster-master", WORKLOAD, "test/1/job"),
            ("x/y/cluster-master", WORKLOAD, "test/1/job"),
            ("x/cluster-master", WORKLOAD, "test/job"),
            ("x/cluster-master", WORKLOAD, "test/1/JOB"),
        ),
    ),
    "stars": (
        (("**", WORKLOAD, "**"), ("*", MACHINE, "*"), ("a/**", HUMAN, "a/*/**")),
        (
            ("a", WORKLOAD, "b/c/d"),
            ("a/b", MACHINE, "c"),
            ("a", MACHINE, "c"),
            ("a", MACHINE, "c/d"),
            ("a", HUMAN, "a/b/c"),
            ("a/b", HUMAN, "a/b"),
            ("a/b", HUMAN, "a/b/c"),
            ("a/b/c/d", HUMAN, "a/x/y/z"),
        ),
    ),
    "deployments": (
        (("prod/cluster-master", WORKLOAD, "service-frontend-prod"),),
        (
            ("prod/cluster-master", WORKLOAD, "service-frontend-prod"),
            ("prod/cluster-master", WORKLOAD, "service-frontend-dev"),
        ),
    ),
    "literal-characters": (
        (("a.b", HUMAN, "x-y_z@w/..."),),
        (("a.b", HUMAN, "x-y_z@w/..."), ("aXb", HUMAN, "x-y_z@w/..."), ("a.b", HUMAN, "x-y_z@w/abc")),
    ),
}
_NO_PATTERNS = ("", "/", "a/", "/a", "a//b", "a/**/b", "**/a", "a*", "*a/b", "a/***", "a b", "a/.", "../a", "é", "a\n",
                "a/b/c/d/e/f/g/h/i", "x" * 64)  # fmt: skip


def decide(rules: Rules, issuer: str, category: int, identity: str) -> bool:
    """The model's answer."""
    return any(PolicyRule(*rule).allows(issuer, category, identity) for rule in rules)


def generate(seed: str) -> Json:
    """The file `policies`; nothing in it depends on the seed."""
    tables = Group("policy", "Questions to a policy: may this issuer issue this category for this identity?")
    for table, (rules, questions) in _QUESTIONS.items():
        for number, question in enumerate(questions, start=1):
            allowed = decide(rules, *question)
            reason = "Some rule matches in all three." if allowed else "No rule matches: denied by default."
            why = Why(
                f"policy {table}, question {number}",
                reason,
                ("POLICY-1", "POLICY-3", *(["TRUST-4"] if table == "deployments" else [])),
                ("4.4", "4.10"),
                ("PolicyTable",),
            )
            tables.add(
                f"{table}-{number}",
                why,
                input=_input(rules, question),
                result={"verdict": "valid", "allowed": allowed},
            )
    bad = Group("policy_invalid", "Rules whose pattern is none: the whole policy is refused.")
    for number, pattern in enumerate(_NO_PATTERNS, start=1):
        assert not is_pattern(pattern), pattern
        for place, rule in (("issuer", (pattern, WORKLOAD, "**")), ("identity", ("**", WORKLOAD, pattern))):
            reason = "A policy that is read in another way than it was meant allows too much, or too little."
            why = Why(f"{place} pattern {pattern!r}"[:60], reason, ("POLICY-1",), ("4.4", "4.10"), ("PolicyTable",))
            bad.add(
                f"{place}-{number}",
                why,
                input=_input((rule,), ("a", WORKLOAD, "a")),
                result={"verdict": "invalid"},
            )
    return document(
        "policies",
        "none",
        "Policies of SPEC.md 4.10 as lists of rules, one question to each. Categories: 1 human, 2 machine, 3 workload.",
        [tables, bad],
    )


def _input(rules: Rules, question: tuple[str, int, str]) -> Json:
    return {
        "policy": [
            {"issuer": issuer, "category": category, "identity": identity} for issuer, category, identity in rules
        ],
        "issuer": question[0],
        "category": question[1],
        "identity": question[2],
    }
