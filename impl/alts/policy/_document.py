"""The policy document that people write: TOML text to a checked structure, every fault with its place (SPEC 13.2).

TOML, since a policy is read and reviewed more often than it is written: it has comments, a change of one rule is a
change of few adjacent lines, it refuses repeated keys, and Python reads it without further packages.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from .._errors import ConfigurationError
from .._names import PATTERN, SEGMENT
from .._trust import Category, Policy, Rule

FORMAT = 1
MAX_RULES = 4096
MAX_TEXT_SIZE = 1 << 20
DEFAULT_AUTHORITIES = ("ca",)
_DEPLOYMENT = re.compile(SEGMENT, re.ASCII)
_MOST_PARTS = 64
_BARE, _BASIC, _LITERAL = r"[A-Za-z0-9_-]++", r'"(?:[^"\\\n]|\\.)*+"', r"'[^'\n]*+'"
_LONG_KEY = re.compile(
    rf"(?:(?<![A-Za-z0-9_-]){_BARE}|(?<!\\){_BASIC}|{_LITERAL})"
    rf"(?:[ \t]*+\.[ \t]*+(?:{_BARE}|{_BASIC}|{_LITERAL})){{{_MOST_PARTS}}}"
)
"""A key of more parts between dots; found in a time that grows no faster than the text."""
_RULE_LINE = re.compile(r"\s*\[\[\s*(?:rule|'rule'|\"rule\")\s*\]\]")
_TOP = {"format", "deployment", "certificate_authorities", "rule"}
_RULE = {"issuer", "category", "identity", "comment", "accepted"}
CATEGORIES = {category.name.lower(): category for category in Category}
ACCEPTABLE = ("duplicate-rule", "unreachable-rule", "any-issuer", "human-issuer", "user-as-issuer")
"""Warnings that a rule's `accepted` may name, after which they are no longer reported for it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (`error`) or looks wrong (`warning`) in a policy document.

    Attributes:
        severity: `error`: no policy can be made of it; `warning`: one can.
        code: its kind, such as `unknown-key`.
        line: where, from 1; 0: the document as a whole.
        rule: number of the rule, from 1; 0: none.
        message: for people.
    """

    severity: str
    code: str
    line: int
    rule: int
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        number = f"rule {self.rule}: " if self.rule else ""
        return f"{place}{self.severity}: {number}{self.message} [{self.code}]"


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule as it is written: what it allows, its line, and the warnings that its author accepts."""

    rule: Rule
    line: int
    accepted: frozenset[str]


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy document without errors.

    Attributes:
        deployment: what it is for, such as `production` or `test`: one identity segment.
        certificate_authorities: patterns of the issuers that authenticate people; only the lint looks at them.
        rules: in the order of the text.
    """

    deployment: str
    certificate_authorities: tuple[str, ...]
    rules: tuple[WrittenRule, ...]

    @property
    def policy(self) -> Policy:
        """The policy itself (POLICY-1)."""
        return Policy(tuple(written.rule for written in self.rules))


class PolicyDocumentError(ConfigurationError):
    """A policy document with errors; `findings` has them all."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(map(str, findings[:8])))
        self.findings = findings


class _Reader:
    """Collects the errors of one text."""

    def __init__(self, text: str) -> None:
        self.errors: list[Finding] = []
        # good enough to point at; a rule header inside a string of several lines would shift the numbers
        self._lines = [number for number, line in enumerate(text.split("\n"), 1) if _RULE_LINE.match(line)]

    def line(self, rule: int) -> int:
        return self._lines[rule - 1] if 0 < rule <= len(self._lines) else 0

    def wrong(self, code: str, message: str, rule: int = 0, line: int = 0) -> None:
        self.errors.append(Finding("error", code, line or self.line(rule), rule, message))

    def keys(self, table: dict[str, Any], known: set[str], needed: set[str], rule: int = 0) -> None:
        for key in table:
            if key not in known:
                self.wrong("unknown-key", f"no such key: {key!r} (there are: {', '.join(sorted(known))})", rule)
        for key in sorted(needed - set(table)):
            self.wrong("missing-key", f"{key!r} is missing", rule)

    def text(self, table: dict[str, Any], key: str, rule: int = 0) -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            self.wrong("wrong-type", f"{key!r} is not a string", rule)
            return None
        return value

    def texts(self, table: dict[str, Any], key: str, default: tuple[str, ...], rule: int = 0) -> tuple[str, ...]:
        value = table.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            self.wrong("wrong-type", f"{key!r} is not a list of strings", rule)
            return default
        return tuple(value)

    def pattern(self, value: str | None, key: str, rule: int = 0) -> bool:
        if value is None or PATTERN.fullmatch(value):
            return value is not None
        self.wrong("bad-pattern", f"{key} {value!r} is no identity pattern: {_why_no_pattern(value)}", rule)
        return False


def _why_no_pattern(text: str) -> str:
    parts = text.split("/")
    if len(text) > 255:
        return "longer than 255 characters"
    if len(parts) > 8:
        return "more than 8 segments"
    for position, part in enumerate(parts):
        if part == "**":
            if position != len(parts) - 1:
                return "'**' can only be the last segment"
        elif part == "":
            return "an empty segment"
        elif part != "*" and "*" in part:
            return f"'*' is a whole segment or nothing, and not part of one as in {part!r}"
        elif part != "*" and not re.fullmatch(SEGMENT, part, re.ASCII):
            return f"{part!r} is not 1 to 63 of A-Z a-z 0-9 . _ - @ other than '.' and '..'"
    return "not an identity pattern"


def read_document(text: str) -> PolicyDocument:
    """Parse a policy document.

    Raises:
        PolicyDocumentError: everything that is wrong with it.
    """
    reader = _Reader(text)
    top = _parse(reader, text)
    if top is None:
        raise PolicyDocumentError(tuple(reader.errors))
    reader.keys(top, _TOP, {"format", "deployment"})
    if "format" in top and (type(top["format"]) is not int or top["format"] != FORMAT):
        # which number is not said: Python refuses to write out one of thousands of digits
        reader.wrong("format", f"format is not {FORMAT}, which is what this version reads")
    deployment = reader.text(top, "deployment")
    if deployment is not None and not _DEPLOYMENT.fullmatch(deployment):
        reader.wrong("bad-deployment", f"deployment {deployment!r} is not one identity segment")
    authorities = reader.texts(top, "certificate_authorities", DEFAULT_AUTHORITIES)
    for authority in authorities:
        reader.pattern(authority, "certificate authority")
    entries = top.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        reader.wrong("wrong-type", "'rule' is not a list of tables: write [[rule]]")
        entries = []
    if len(entries) > MAX_RULES:
        reader.wrong("too-many-rules", f"{len(entries)} rules, at most {MAX_RULES}")
        entries = []
    rules = [_read_rule(reader, entry, number) for number, entry in enumerate(entries, 1)]
    if reader.errors:
        raise PolicyDocumentError(tuple(reader.errors))
    return PolicyDocument(deployment or "", authorities, tuple(rule for rule in rules if rule is not None))


def _parse(reader: _Reader, text: str) -> dict[str, Any] | None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_SIZE:
        reader.wrong("too-large", f"larger than {MAX_TEXT_SIZE} bytes")
        return None
    long_key = _LONG_KEY.search(text)  # the parser's time grows with the square of their number
    if long_key is not None:
        line = text.count("\n", 0, long_key.start()) + 1
        reader.wrong("syntax", f"a key of more than {_MOST_PARTS} parts between dots", line=line)
        return None
    try:
        return tomllib.loads(text)
    except RecursionError:
        reader.wrong("syntax", "nested too deeply")
    except ValueError as error:  # TOMLDecodeError is one; so is a date that does not exist
        found = re.search(r"at line (\d+)", str(error))
        reader.wrong("syntax", f"not TOML: {error}", line=int(found[1]) if found else 0)
    return None


def _read_rule(reader: _Reader, entry: dict[str, Any], number: int) -> WrittenRule | None:
    before = len(reader.errors)
    reader.keys(entry, _RULE, {"issuer", "category", "identity"}, number)
    issuer, identity = (reader.text(entry, key, number) for key in ("issuer", "identity"))
    reader.pattern(issuer, "issuer", number)
    reader.pattern(identity, "identity", number)
    reader.text(entry, "comment", number)
    name = reader.text(entry, "category", number)
    category = CATEGORIES.get(name or "")
    if name is not None and category is None:
        reader.wrong("bad-category", f"no such category: {name!r} (there are: {', '.join(CATEGORIES)})", number)
    accepted = reader.texts(entry, "accepted", (), number)
    for code in accepted:
        if code not in ACCEPTABLE:
            reader.wrong("bad-accepted", f"not a warning of a rule: {code!r} ({', '.join(ACCEPTABLE)})", number)
    if len(reader.errors) > before or issuer is None or identity is None or category is None:
        return None
    return WrittenRule(Rule(issuer, category, identity), reader.line(number), frozenset(accepted))


def write_document(policy: Policy, deployment: str) -> str:
    """Return the text of a policy document, without comments."""
    lines = [f"format = {FORMAT}", f'deployment = "{deployment}"']
    for rule in policy.rules:
        lines += ["", "[[rule]]", f'issuer = "{rule.issuer}"', f'category = "{rule.category.name.lower()}"']
        lines += [f'identity = "{rule.identity}"']
    return "\n".join(lines) + "\n"
