"""What is allowed in a policy document and yet looks wrong: warnings, each of which a rule's `accepted` can silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._trust import Category, matches
from ._document import Finding, PolicyDocument, PolicyDocumentError, read_document
from ._patterns import covers, intersect, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._trust import Rule

    _Group = dict[str, list[tuple[int, str]]]
    """First segment of the identity pattern to the numbers and identity patterns of rules."""


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
    people = [written.rule.identity for written in document.rules if written.rule.category is Category.HUMAN]
    index = _Index([written.rule for written in document.rules])
    for number, written in enumerate(document.rules, 1):
        for code, message in (
            *index.redundant(number, written.rule),
            *_issuers(written.rule, document.certificate_authorities, people),
        ):
            if code not in written.accepted:
                findings.append(Finding("warning", code, written.line, number, message))
    return tuple(findings)


class _Index:
    """Rules by category, issuer and first segment of the identity, so that thousands are checked in a few seconds."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._first: dict[Rule, int] = {}
        self._rules: dict[tuple[Category, str], _Group] = {}
        for number, rule in enumerate(rules, 1):
            self._first.setdefault(rule, number)
            by_segment = self._rules.setdefault((rule.category, rule.issuer), {})
            by_segment.setdefault(rule.identity.split("/")[0], []).append((number, rule.identity))

    def redundant(self, number: int, rule: Rule) -> list[tuple[str, str]]:
        """Find the earlier rule that equals this one, or the rules that together allow all that it allows."""
        if (first := self._first[rule]) != number:
            return [("duplicate-rule", f"the same as rule {first}")]
        covering: set[int] = set()
        for issuer in words(rule.issuer):
            groups = [
                (pattern, group)
                for (category, pattern), group in self._rules.items()
                if category is rule.category and matches(pattern, issuer)
            ]
            for identity in words(rule.identity):
                by = self._allowing(groups, identity, rule)
                if by is None:
                    return []
                covering.add(by)
        numbers = ", ".join(map(str, sorted(covering)))
        return [("unreachable-rule", f"allows nothing that rule {numbers} does not allow already")]

    @staticmethod
    def _allowing(groups: Sequence[tuple[str, _Group]], identity: str, rule: Rule) -> int | None:
        """Return the number of a rule, other than `rule` and its equals, whose identity pattern matches."""
        for issuer, group in groups:
            for segment in (identity.split("/")[0], "*", "**"):
                for number, pattern in group.get(segment, ()):
                    if (issuer, pattern) != (rule.issuer, rule.identity) and matches(pattern, identity):
                        return number
        return None


def _issuers(rule: Rule, authorities: Sequence[str], people: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    if rule.issuer in ("*", "**"):
        found.append(("any-issuer", f"issuer {rule.issuer!r} is nearly everybody"))
    if rule.category is not Category.WORKLOAD and not any(covers(authority, rule.issuer) for authority in authorities):
        what = rule.category.name.lower()
        message = f"{what} certificates from {rule.issuer!r}, no certificate authority ({', '.join(authorities)})"
        found.append(("human-issuer", message))
    who = next((identity for identity in people if intersect(rule.issuer, identity)), None)
    if who is not None:
        message = f"a user ({intersect(rule.issuer, who)!r}) can have certificates for {rule.identity!r} signed"
        found.append(("user-as-issuer", message))
    return found
