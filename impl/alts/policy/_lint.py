"""What is allowed in a policy document and yet looks wrong: warnings, each of which a rule's `accepted` can silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._trust import Category
from ._document import Finding, PolicyDocument, PolicyDocumentError, read_document
from ._patterns import PatternMap, covers, intersect, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._trust import Rule


def check(text: str) -> tuple[Finding, ...]:
    """Return everything that is wrong or looks wrong in a policy document, in the order of its lines."""
    try:
        document = read_document(text)
    except PolicyDocumentError as error:
        return tuple(sorted(error.findings, key=lambda finding: (finding.line, finding.rule)))
    return lint(document)


def lint(document: PolicyDocument) -> tuple[Finding, ...]:
    """Return the warnings about a document that has no errors."""
    findings: list[Finding] = []
    if not document.rules:
        findings.append(Finding("warning", "empty-policy", 0, 0, "no rule: every certificate is denied"))
    rules = [written.rule for written in document.rules]
    index, people = _Index(rules), _People(rules)
    for number, written in enumerate(document.rules, 1):
        for code, message in (
            *index.redundant(number, written.rule),
            *_issuers(written.rule, document.certificate_authorities, people),
        ):
            if code not in written.accepted:
                findings.append(Finding("warning", code, written.line, number, message))
    return tuple(findings)


class _Index:
    """Rules by category, issuer and identity, so that thousands are checked in a few seconds."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._first: dict[Rule, int] = {}
        self._rules: dict[Category, PatternMap[PatternMap[list[int]]]] = {}
        for number, rule in enumerate(rules, 1):
            self._first.setdefault(rule, number)
            by_issuer = self._rules.setdefault(rule.category, PatternMap(lambda: PatternMap(list)))
            by_issuer.at(rule.issuer).at(rule.identity).append(number)

    def redundant(self, number: int, rule: Rule) -> list[tuple[str, str]]:
        """Find the earlier rule that equals this one, or the rules that together allow all that it allows."""
        if (first := self._first[rule]) != number:
            return [("duplicate-rule", f"the same as rule {first}")]
        covering: set[int] = set()
        for issuer in words(rule.issuer):
            groups = list(self._rules[rule.category].matching(issuer))
            for identity in words(rule.identity):
                matching = (equal[0] for group in groups for equal in group.matching(identity))
                by = next((found for found in matching if found != number), None)
                if by is None:
                    return []
                covering.add(by)
        numbers = ", ".join(map(str, sorted(covering)))
        return [("unreachable-rule", f"allows nothing that rule {numbers} does not allow already")]


class _People:
    """The humans whom a policy admits, by the first segment of their identity patterns."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._by_segment: dict[str, list[str]] = {}
        self._known: dict[str, str | None] = {}
        for identity in dict.fromkeys(rule.identity for rule in rules if rule.category is Category.HUMAN):
            self._by_segment.setdefault(identity.split("/")[0], []).append(identity)

    def among(self, issuer: str) -> str | None:
        """Return a pattern of people who can be an issuer; None: nobody can."""
        if issuer not in self._known:
            first = issuer.split("/")[0]
            segments = self._by_segment if first in ("*", "**") else (first, "*", "**")
            patterns = (pattern for segment in segments for pattern in self._by_segment.get(segment, ()))
            self._known[issuer] = next(filter(None, (intersect(issuer, pattern) for pattern in patterns)), None)
        return self._known[issuer]


def _issuers(rule: Rule, authorities: Sequence[str], people: _People) -> list[tuple[str, str]]:
    found = []
    if rule.issuer in ("*", "**"):
        found.append(("any-issuer", f"issuer {rule.issuer!r} is nearly everybody"))
    if rule.category is not Category.WORKLOAD and not any(covers(authority, rule.issuer) for authority in authorities):
        what = rule.category.name.lower()
        message = f"{what} certificates from {rule.issuer!r}, no certificate authority ({', '.join(authorities)})"
        found.append(("human-issuer", message))
    who = people.among(rule.issuer)
    if who is not None:
        message = f"a user ({who!r}) can have certificates for {rule.identity!r} signed"
        found.append(("user-as-issuer", message))
    return found
