"""What z3 proves: every check holds, every planted fault is found, and no check can pass by saying nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import z3

from alts_model import check, checks, cli
from alts_model.checks import counters, execution, proving
from alts_model.checks.execution import Number, Truth, explore, number, rebound
from alts_model.errors import Refused
from alts_model.negotiation import choose
from alts_model.syntax import IMPLEMENTED_RECORD_PROTOCOLS

FAULTS = [(one, fault) for one in checks.ALL for fault in one.faults]
UNKNOWN = z3.Int("x")


@pytest.mark.parametrize(
    "one", [pytest.param(one, marks=pytest.mark.req(*one.requirements), id=one.name) for one in checks.ALL]
)
def test_a_check_holds_and_finds_its_faults(one: proving.Check[Any]) -> None:
    (result,) = (result for result in check.proved() if result.name == one.name)
    assert result.findings == ()
    assert result.verdict == "ok"
    assert result.requirements == one.requirements != ()
    assert len(one.faults) >= 2
    assert len(result.notes) == 1 + len(one.faults)


@pytest.mark.parametrize(
    ("one", "fault"), [pytest.param(*pair, id=f"{pair[0].name}: {pair[1].name}") for pair in FAULTS]
)
def test_the_model_with_a_fault_fails(one: proving.Check[Any], fault: proving.Fault[Any]) -> None:
    """As if the model had the fault: the check fails by an example, and plain Python does what the example says."""
    outcome = proving.prove(replace(one, subject=fault.subject, faults=()))
    found = [finding for finding in outcome.findings if "refuted by" in finding]
    assert len(found) == 1
    assert "does not replay" not in found[0]


def test_names_are_unique() -> None:
    names = [one.name for one in checks.ALL]
    assert len(set(names)) == len(names)
    for one in checks.ALL:
        assert len({fault.name for fault in one.faults}) == len(one.faults)


# A check of nothing much, to break in every way.


def statement(given: Any, claim: Any, kind: str = "case") -> proving.Statement:
    return proving.Statement(
        kind, given, claim, lambda model: {"x": model.eval(UNKNOWN, model_completion=True).as_long()}
    )


def below_three(limit: int) -> Iterable[proving.Statement]:
    yield statement(z3.IntVal(limit) > UNKNOWN, UNKNOWN < 3)


def violates(limit: int, example: proving.Example) -> str | None:
    return "not below three" if 3 <= example["x"] < limit else None


def small(**changes: Any) -> proving.Check[Any]:
    fault = proving.Fault("four", "four is allowed", 4)
    base: proving.Check[Any] = proving.Check(
        "small", "x is below 3", "any x", ("HS-4",), frozenset({"case"}), 3, (fault,), below_three, violates
    )
    return replace(base, **changes)


def impossible(limit: int) -> Iterable[proving.Statement]:
    yield from below_three(limit)
    yield statement(z3.And(UNKNOWN < 0, UNKNOWN > 0), z3.BoolVal(limit == 0))


def hard(_: int) -> Iterable[proving.Statement]:
    y, z = z3.Ints("y z")
    yield statement(UNKNOWN * UNKNOWN * UNKNOWN + y * y * y + z * z * z == 114, z3.BoolVal(False))


def test_the_small_check_holds() -> None:
    outcome = proving.prove(small())
    assert outcome.findings == ()
    assert outcome.refuted == (proving.Refuted("four", "four is allowed", "x = 3", "not below three"),)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"subject": 5}, "case: refuted by x = "),
        ({"faults": ()}, "no planted fault"),
        ({"faults": (proving.Fault("none", "nothing is wrong", 2),)}, "planted fault 'none' is not found"),
        ({"violates": lambda *_: None}, "planted fault 'four': x = 3 does not replay"),
        ({"violates": lambda *_: "wrong"}, "planted fault 'four': x = 3 is also wrong without it: wrong"),
        ({"kinds": frozenset({"case", "another"})}, "vacuous: no case 'another'"),
        ({"kinds": frozenset()}, "an undeclared case 'case'"),
        ({"statements": lambda _: ()}, "vacuous: no case 'case'"),
        ({"statements": impossible}, "case: vacuous: nothing is as it is given"),
    ],
)
def test_a_check_that_says_nothing_fails(changes: dict[str, Any], finding: str) -> None:
    findings = proving.prove(small(**changes)).findings
    assert any(one.startswith(finding) for one in findings), findings


def test_no_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "TIMEOUT_MS", 50)
    outcome = proving.prove(small(statements=hard))
    assert outcome.refuted == ()
    assert [finding.partition(" (")[0] for finding in outcome.findings] == [
        "not decided: z3 gave no answer within 50 ms",
        "planted fault 'four': not decided: z3 gave no answer within 50 ms",
    ]
    assert check.proof(outcome).verdict == "failed"


def test_no_answer_on_a_path_is_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "TIMEOUT_MS", 50)
    (hard_one,) = hard(0)
    with pytest.raises(checks.NoAnswerError):
        list(explore(lambda: bool(Truth(hard_one.given))))


def test_what_cannot_be_followed_is_a_failure() -> None:
    def statements(_: int) -> Iterable[proving.Statement]:
        table: dict[Any, int] = {"a": 1}
        paths = explore(lambda: table[number("x")])
        return [statement(path.condition, z3.BoolVal(True)) for path in paths]

    outcome = proving.prove(small(statements=statements))
    assert outcome.findings[0] == "not decided: TypeError: unhashable type: 'Number'"


def test_a_statement_that_cannot_be_made_is_a_failure() -> None:
    def statements(_: int) -> Iterable[proving.Statement]:
        yield statement(z3.BoolVal(True), z3.BitVec("bits", 8) == UNKNOWN)

    assert proving.prove(small(statements=statements)).findings[0].startswith("not decided: Z3Exception: ")


def test_impossible_conditions_have_no_paths() -> None:
    assert list(explore(lambda: 1, (z3.BoolVal(False),))) == []


def test_every_path_once() -> None:
    x = number("x")

    def program() -> str:
        if x < 3:
            return "low" if x < 3 else "impossible"
        if x == 7:
            raise Refused("BAD_RECORD")
        return "high"

    paths = list(explore(program))
    assert sorted(path.value or "refused" for path in paths) == ["high", "low", "refused"]
    solver = z3.Solver()
    for at, path in enumerate(paths):
        for other in paths[:at]:
            assert solver.check(path.condition, other.condition) == z3.unsat
    assert solver.check(z3.Not(z3.Or(*(path.condition for path in paths)))) == z3.unsat


def test_rebinding_a_name_that_is_not_used_is_refused() -> None:
    with pytest.raises(AssertionError):
        rebound(choose, no_such_name=1)


def test_numbers_are_not_looked_up_by_hash() -> None:
    with pytest.raises(TypeError):
        hash(Number(UNKNOWN))


@pytest.mark.req("REC-4")
def test_a_record_protocol_without_a_row_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (*IMPLEMENTED_RECORD_PROTOCOLS, "ALTSRP_NEW")
    monkeypatch.setattr(counters, "IMPLEMENTED_RECORD_PROTOCOLS", names)
    assert "an undeclared case 'no row for ALTSRP_NEW'" in proving.prove(checks.FRESH).findings


# The command.


def test_the_command_shows_requirements_bounds_and_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = (check.proof(proving.prove(small(**changes))) for changes in ({}, {"subject": 5}))
    monkeypatch.setattr(check, "proved", lambda: (good,))
    assert cli.main(["check"]) == 0
    printed = capsys.readouterr().out
    assert "ok      small: x is below 3 (1 statements, 1 of 1 planted faults found) [HS-4; " in printed
    assert "bound: any x" in printed
    assert "fault 'four' (four is allowed): x = 3: not below three" in printed
    monkeypatch.setattr(check, "proved", lambda: (bad,))
    assert cli.main(["check"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("FAILED  small")
    assert "refuted by x = " in printed
    assert cli.main(["check", "--json"]) == 1
    (document,) = (one for one in json.loads(capsys.readouterr().out)["checks"] if one["name"] == "small")
    assert (document["verdict"], document["requirements"]) == ("failed", ["HS-4"])
    assert document["seconds"] >= 0
