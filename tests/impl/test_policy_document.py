"""Policy documents: what is refused, what is warned of, and that the published schema says the same (SPEC 13.2)."""

from __future__ import annotations

import json
import sys
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts import Category, Rule
from alts.policy import PolicyDocumentError, check, lint, read_document, write_document
from alts.policy._document import ACCEPTABLE
from tests.impl.policy_tools import POLICIES, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = json.loads(resources.files("alts.policy").joinpath("policy.schema.json").read_text("utf-8"))


def rule(issuer: str, category: str, identity: str, more: str = "") -> str:
    return f'[[rule]]\nissuer = "{issuer}"\ncategory = "{category}"\nidentity = "{identity}"\n{more}\n'


HEAD = 'format = 1\ndeployment = "test"\n'

ERRORS = {
    "not TOML": ("format = ", "syntax"),
    "nested too deeply": ("a = " + "[" * 5000, "syntax"),
    "a date that does not exist": (HEAD + "x = 2020-02-31", "syntax"),
    "a key twice": (HEAD + "format = 1", "syntax"),
    "no format": ('deployment = "a"', "missing-key"),
    "no deployment": ("format = 1", "missing-key"),
    "another format": ('format = 2\ndeployment = "a"', "format"),
    "a format that is true": ('format = true\ndeployment = "a"', "format"),
    "a format of thousands of digits": ("format = 0x" + "f" * 5000 + '\ndeployment = "a"', "format"),
    "a format that is a list of such": ("format = [0x" + "f" * 5000 + ']\ndeployment = "a"', "format"),
    "unknown key": (HEAD + "rules = 1", "unknown-key"),
    "unknown key of a rule": (HEAD + rule("ca", "human", "a", "allow = true"), "unknown-key"),
    "a rule without issuer": (HEAD + '[[rule]]\ncategory = "human"\nidentity = "a"', "missing-key"),
    "rules that are no list": (HEAD + "[rule]\n", "wrong-type"),
    "an issuer that is a number": (HEAD + '[[rule]]\nissuer = 1\ncategory = "human"\nidentity = "a"', "wrong-type"),
    "a comment that is a number": (HEAD + rule("ca", "human", "a", "comment = 1"), "wrong-type"),
    "partial wildcard": (HEAD + rule("ca", "human", "corp/a*"), "bad-pattern"),
    "two stars in front": (HEAD + rule("ca", "human", "**/a"), "bad-pattern"),
    "empty segment": (HEAD + rule("ca", "human", "a//b"), "bad-pattern"),
    "empty pattern": (HEAD + rule("", "human", "a"), "bad-pattern"),
    "dot dot": (HEAD + rule("ca", "human", "a/.."), "bad-pattern"),
    "nine segments": (HEAD + rule("ca", "human", "/".join("a" * 9)), "bad-pattern"),
    "too long": (HEAD + rule("ca", "human", "/".join(["a" * 63] * 5)), "bad-pattern"),
    "line end": (HEAD + rule("ca", "human", "a\\n"), "bad-pattern"),
    "category": (HEAD + rule("ca", "robot", "a"), "bad-category"),
    "category by number": (HEAD + '[[rule]]\nissuer = "ca"\ncategory = 1\nidentity = "a"', "wrong-type"),
    "deployment": ('format = 1\ndeployment = "a/b"', "bad-deployment"),
    "accepted": (HEAD + rule("ca", "human", "a", 'accepted = ["syntax"]'), "bad-accepted"),
    "authority": (HEAD + 'certificate_authorities = ["a*"]', "bad-pattern"),
    "authorities": (HEAD + 'certificate_authorities = "ca"', "wrong-type"),
    "too many rules": (HEAD + rule("ca", "human", "a") * 4097, "too-many-rules"),
    "too large": ("#" * (1 << 20) + "\n", "too-large"),
}


@pytest.mark.req("POLICY-1")
@pytest.mark.parametrize(("text", "code"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_found_and_no_policy_is_made(text: str, code: str) -> None:
    with pytest.raises(PolicyDocumentError) as caught:
        read_document(text)
    assert code in {finding.code for finding in caught.value.findings}
    assert {finding.severity for finding in caught.value.findings} == {"error"}


@pytest.mark.req("POLICY-1")
@pytest.mark.parametrize("part", ["a", "a-1_Z", '"a b.c"', '""', "'x'", r'"\"a\\"', "1"])
@pytest.mark.parametrize("dot", [".", " . ", "\t.  "])
@pytest.mark.parametrize("place", ["{key} = 1", "[{key}]", "[[ {key} ]]", "x = {{{key} = 1}}", "x = {{z = 1,{key}=1}}"])
def test_a_key_of_very_many_parts_never_reaches_the_parser(part: str, dot: str, place: str) -> None:
    """Its time grows with the square of the parts: 2^19 of them, which are not too large a file, would take an hour."""
    for count in (64, 65, 1000):
        text = HEAD + "# a comment\n" + place.format(key=dot.join([part] * count)) + "\n"
        (finding, *_) = check(text)
        if count == 64:
            assert (finding.code, finding.line) == ("unknown-key", 0), "read as any other"
        else:
            assert (finding.code, finding.line) == ("syntax", 4)
            assert "more than 64 parts" in finding.message


@pytest.mark.req("POLICY-1")
def test_dots_elsewhere_are_no_long_key() -> None:
    dotted = ".".join("a" * 64)
    text = (
        "# see 1.3.6.1.4.1.311.20.2.3 " + "." * 200 + f"\n#{dotted}\n" + TEXT + f'comment = """{dotted}\n.{dotted}"""\n'
    )
    assert check(text) == ()


WARNINGS = {
    "empty": (HEAD, {"empty-policy"}),
    "duplicate": (HEAD + rule("ca", "human", "a") * 2, {"duplicate-rule"}),
    "part of one rule": (HEAD + rule("ca", "human", "corp/a") + rule("ca", "human", "corp/*"), {"unreachable-rule"}),
    "part of several": (
        HEAD + rule("ca", "machine", "*/**") + rule("ca", "machine", "*") + rule("ca", "machine", "**"),
        {"unreachable-rule"},
    ),
    "any issuer": (HEAD + rule("**", "workload", "prod/**"), {"any-issuer"}),
    "human certificates from others": (HEAD + rule("helpdesk", "human", "corp/*"), {"human-issuer"}),
    "machine certificates from others": (HEAD + rule("cluster-master", "machine", "m/*"), {"human-issuer"}),
    "users as issuers": (
        HEAD + rule("ca", "human", "corp/*") + rule("corp/mallory", "workload", "prod/**"),
        {"user-as-issuer"},
    ),
}


@pytest.mark.req("POLICY-1")
@pytest.mark.parametrize(("text", "codes"), WARNINGS.values(), ids=WARNINGS.keys())
def test_warnings_are_found_and_can_be_accepted(text: str, codes: set[str]) -> None:
    assert {finding.code for finding in check(text)} >= codes
    assert {finding.severity for finding in check(text)} == {"warning"}
    read_document(text)
    if codes != {"empty-policy"}:
        silenced = text.replace("[[rule]]", f"[[rule]]\naccepted = {json.dumps(list(ACCEPTABLE))}")
        assert check(silenced) == ()


def test_a_clean_document_has_no_findings_and_findings_name_their_line() -> None:
    assert check(TEXT) == ()
    assert check(HEAD + 'certificate_authorities = ["hq/*"]\n' + rule("hq/ca", "human", "a")) == ()
    (finding,) = check(TEXT + "\n" + rule("ca", "human", "corp/x"))
    assert (finding.line, finding.rule, finding.code) == (9, 2, "unreachable-rule")
    (finding,) = check(TEXT + rule("ca", "human", "corp/x*"))
    assert (finding.line, finding.rule) == (8, 2)
    assert "'x*'" in str(finding)
    (finding,) = check("format = 1\n=")
    assert finding.line == 2


@pytest.mark.req("POLICY-1")
@given(policy=POLICIES)
def test_documents_say_what_they_are_made_of(policy: Any) -> None:
    document = read_document(write_document(policy, "test"))
    assert document.policy == policy
    assert document.deployment == "test"


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            "ca",
            "a*",
            "**",
            "*/**",
            "**/a",
            "",
            "..",
            "a/..",
            "a/.",
            "...",
            ".a/b",
            "a\n",
            "human",
            "machine",
            "x" * 64,
        ),
        *(1, True, None, [], ["ca"], ["*"], ["any-issuer"], [1], {}, "/".join("a" * 8), "/".join("a" * 9), "é", "a/b"),
    ]
)
RULE_VALUES = st.fixed_dictionaries(
    {"issuer": VALUES, "category": st.sampled_from(["human", "workload", "Human", 1]) | VALUES, "identity": VALUES},
    optional={"comment": VALUES, "accepted": VALUES, "more": VALUES},
)
GOOD_RULE = st.fixed_dictionaries(
    {"issuer": st.just("ca"), "category": st.just("human"), "identity": st.sampled_from(["a", "*", "a/**"])},
    optional={"comment": st.just(""), "accepted": st.just(["any-issuer"])},
)
DOCUMENTS = st.fixed_dictionaries(
    {"format": st.sampled_from([1, 1, 1, 2, "1"])},
    optional={
        "deployment": st.sampled_from(["test", "..", "a/b", "a\n", 1]) | st.just("test"),
        "certificate_authorities": VALUES,
        "rule": st.lists(RULE_VALUES | GOOD_RULE, max_size=2) | VALUES,
        "else": VALUES,
    },
)


@pytest.mark.req("POLICY-1")
@given(document=DOCUMENTS)
def test_the_published_schema_accepts_what_the_reader_accepts(document: dict[str, Any]) -> None:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(entry) for key, entry in value.items() if entry is not None}
        return [strip(entry) for entry in value] if isinstance(value, list) else value

    document = strip(document)
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in document.items())
    assert tomllib.loads(text) == document
    try:
        read_document(text)
        accepted = True
    except PolicyDocumentError:
        accepted = False
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(document) == accepted


def toml(value: Any) -> str:
    """Write a value as TOML, inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@given(text=st.text() | st.text().map(lambda text: TEXT + text))
def test_any_text_ends_in_findings_or_a_policy(text: str) -> None:
    try:
        document = read_document(text)
    except PolicyDocumentError as error:
        findings = error.findings
    else:
        findings = ()
        assert all(isinstance(written.rule, Rule) for written in document.rules)
    assert findings == tuple(finding for finding in findings if finding.severity == "error")


def test_thousands_of_rules_are_linted() -> None:
    many = HEAD + "".join(rule("ca", "human", f"corp/u{number}") for number in range(1000))
    assert check(many) == ()
    assert [finding.rule for finding in check(many + rule("ca", "human", "corp/u7"))] == [1001]
    assert read_document(many).policy.allows("ca", Category.HUMAN, "corp/u999")


def calls(text: str) -> int:
    """How many functions a check calls: a measure that does not depend on the machine."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    document = read_document(text)
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        lint(document)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.req("POLICY-1")
@pytest.mark.parametrize(
    "numbered",
    [
        lambda i: rule("**", "workload", f"*/a{i}/**"),
        lambda i: rule(f"i{i}/*/**", "human", f"*/a{i}/**"),
        lambda i: rule("ca", "human", f"corp/u{i}") + rule(f"service/i{i}", "workload", "prod/**"),
        lambda i: rule("ca", "human", f"*/u{i}") + rule("corp/admins", "workload", f"prod/{i}"),
    ],
)
def test_the_lint_does_not_ask_every_rule_about_every_rule(numbered: Callable[[int], str]) -> None:
    few, many = (calls(HEAD + "".join(map(numbered, range(count)))) for count in (100, 400))
    assert many < 6 * few
