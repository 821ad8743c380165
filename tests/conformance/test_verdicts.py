"""How attempts become verdicts, and what known findings do to them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_conformance import HarnessError, Reaction, Severity, UsageError, Verdict, _known
from alts_conformance._case import Case, Instance, expand, lint, matches
from alts_conformance._verdict import ENDED, FINDINGS, Attempt, judge_reaction, merge_attempts

TODAY = datetime.date(2026, 1, 1)


async def _nothing(run: Any) -> None:
    """A case that does nothing at all."""


def make_case(**changes: Any) -> Case:
    fields: dict[str, Any] = {
        "id": "topic::name",
        "function": _nothing,
        "text": "A case that does nothing at all.",
        "requirements": ("HS-1",),
        "severity": Severity.LOW,
        "why": "It is a plant of the tests.",
        "subjects": ("server",),
        "helpers": {},
        "needs": {},
        "parameters": {},
        "profiles": frozenset({"topic"}),
        "limit": 1.0,
        "exclusive": False,
    }
    return Case(**{**fields, **changes})


INSTANCE = Instance(make_case(), {"server": "wheel"}, {"size": 3})


def finding(**changes: Any) -> _known.KnownFinding:
    fields: dict[str, Any] = {
        "peer": "wheel",
        "versions": ">=1.2,<2",
        "case": "topic::name",
        "expected": Verdict.FAIL,
        "reaction": None,
        "reason": "it was seen",
        "link": None,
        "expires": None,
    }
    return _known.KnownFinding(**{**fields, **changes})


@pytest.mark.parametrize(
    ("reaction", "verdict"),
    [
        (Reaction.CLOSED, Verdict.PASS),
        (Reaction.RESET, Verdict.PASS),
        (Reaction.SILENT, Verdict.LENIENT),
        (Reaction.CONTINUED, Verdict.FAIL),
    ],
)
def test_reactions_are_judged_by_sets(reaction: Reaction, verdict: Verdict) -> None:
    assert judge_reaction(reaction, ENDED, (Reaction.SILENT,)) is verdict


def test_good_once_and_bad_once_is_flaky() -> None:
    bad, good = Attempt(Verdict.FAIL, "bad"), Attempt(Verdict.PASS)
    assert merge_attempts([bad, good]).verdict is Verdict.FLAKY
    assert merge_attempts([bad, bad, good]).verdict is Verdict.FLAKY
    assert merge_attempts([bad, bad]).verdict is Verdict.FAIL
    assert merge_attempts([good]).verdict is Verdict.PASS
    assert merge_attempts([bad, Attempt(Verdict.HARNESS)]).verdict is Verdict.HARNESS
    with pytest.raises(HarnessError):
        merge_attempts([])


def weigh(attempt: Attempt, *findings: _known.KnownFinding, version: str = "1.5") -> Verdict:
    return _known.apply(attempt, INSTANCE, findings, {"wheel": version}).verdict


def test_a_declared_finding_is_known() -> None:
    assert weigh(Attempt(Verdict.FAIL), finding()) is Verdict.KNOWN


def test_an_unexpected_pass_is_an_error() -> None:
    assert weigh(Attempt(Verdict.PASS), finding()) is Verdict.FAIL


def test_another_verdict_or_reaction_than_declared_is_an_error() -> None:
    assert weigh(Attempt(Verdict.CRASH), finding()) is Verdict.FAIL
    declared = finding(reaction="continued")
    assert weigh(Attempt(Verdict.FAIL, reaction="silent"), declared) is Verdict.FAIL
    assert weigh(Attempt(Verdict.FAIL, reaction="continued"), declared) is Verdict.KNOWN


def test_a_finding_of_another_version_or_peer_says_nothing() -> None:
    assert weigh(Attempt(Verdict.FAIL), finding(), version="2.0") is Verdict.FAIL
    assert weigh(Attempt(Verdict.PASS), finding(), version="2.0") is Verdict.PASS
    assert weigh(Attempt(Verdict.PASS), finding(peer="other")) is Verdict.PASS


def test_skipped_and_harness_faults_stay_what_they_are() -> None:
    assert weigh(Attempt(Verdict.SKIPPED), finding()) is Verdict.SKIPPED
    assert weigh(Attempt(Verdict.HARNESS), finding()) is Verdict.HARNESS


def test_stale_and_expired_entries_are_complained_about() -> None:
    entries = [finding(), finding(case="topic::gone"), finding(expires=datetime.date(2025, 12, 31))]
    complaints = _known.complaints(entries, [INSTANCE], TODAY)
    assert len(complaints) == 2
    assert "stale" in complaints[0]
    assert "expired" in complaints[1]
    assert not _known.complaints([finding(expires=TODAY)], [INSTANCE], TODAY)


@pytest.mark.parametrize(
    ("version", "versions", "holds"),
    [
        ("1.85.1", ">=1.60,<1.90", True),
        ("1.9", ">=1.60", False),
        ("1.85.1", "==1.85.1", True),
        ("1.85.1", "!=1.85.1", False),
        ("1.85", "==1.85.0", True),
        ("1.85.1", "*", True),
        ("2.0", "<=2", True),
        ("2.0", ">2", False),
    ],
)
def test_version_ranges(version: str, versions: str, holds: bool) -> None:
    assert _known.version_in(version, versions) is holds


@pytest.mark.parametrize(
    "text",
    [
        "finding = 3",
        "[[finding]]\npeer = 'x'",
        "[[finding]]\npeer='x'\nversions='*'\ncase='c'\nexpected='pass'\nreason='because it is'",
        "[[finding]]\npeer='x'\nversions='about 1'\ncase='c'\nexpected='fail'\nreason='because it is'",
        "[[finding]]\npeer='x'\nversions='*'\ncase='c'\nexpected='fail'\nreason='because it is'\nsurplus=1",
        "[[finding]]\npeer='x'\nversions='*'\ncase='c'\nexpected='fail'\nreason='because it is'\nexpires='2026-99-99'",
        "= no toml",
        "\udcff",
    ],
)
def test_a_broken_file_is_a_usage_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "known.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError):
        _known.load(path)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        _known.load(tmp_path / "none.toml")


def test_the_packaged_file_loads() -> None:
    for entry in _known.load(_known.default_path()):
        assert entry.versions != "*", "a finding was seen with certain versions"
        assert entry.peer != "reference", "the reference has no finding to declare: it is put right"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"text": ""}, "docstring"),
        ({"why": ""}, "why"),
        ({"requirements": ()}, "no requirement"),
        ({"requirements": ("HS-999",)}, "unknown requirement HS-999"),
        ({"subjects": ()}, "judges nobody"),
        ({"subjects": ("bystander",)}, "unknown role"),
        ({"helpers": {"server": "reference"}}, "twice"),
        ({"parameters": {"size": (1,)}}, "has parameters"),
    ],
)
def test_lint(changes: dict[str, Any], complaint: str) -> None:
    assert complaint in "; ".join(lint(make_case(**changes)))
    assert not lint(make_case())


def test_expansion_needs_every_capability() -> None:
    pairs = make_case(subjects=("client", "server"), needs={"server": frozenset({"alts"})})
    peers = {
        "a": frozenset({"client", "server", "alts"}),
        "b": frozenset({"client", "server"}),
        "c": frozenset({"alts"}),
    }
    assert [i.id for i in expand(pairs, peers)] == ["topic::name/client=a,server=a", "topic::name/client=b,server=a"]
    assert [i.subjects for i in expand(pairs, peers)] == [("a",), ("b", "a")]
    helped = make_case(helpers={"client": "c"})
    assert expand(helped, peers) == []


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_choices_depend_on_seed_and_id_alone(seed: int, other: int) -> None:
    assert INSTANCE.rng(seed).random() == INSTANCE.rng(seed).random()
    elsewhere = Instance(make_case(), {"server": "wheel"}, {"size": 4})
    assert elsewhere.rng(seed).random() != INSTANCE.rng(seed).random()
    assert seed == other or INSTANCE.rng(seed).random() != INSTANCE.rng(other).random()


def test_globs() -> None:
    name = "record::replay_is_refused/server=grpc-core,size=3"
    for pattern in (
        name,
        "record::*",
        "record::replay_is_refused",
        "replay_is_refused",
        "*size=3",
        "record::*/server=grpc-core*",
    ):
        assert matches(name, [pattern]), pattern
    for pattern in ("record", "record::replay", "*size=4", "record::*/server=reference*"):
        assert not matches(name, [pattern]), pattern


def test_findings_gate_and_the_rest_does_not() -> None:
    assert {Verdict.FAIL, Verdict.CRASH, Verdict.HANG, Verdict.FLAKY} == FINDINGS
