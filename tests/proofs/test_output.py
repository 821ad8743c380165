"""Reading ProVerif's output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_proofs import EngineFailure
from alts_proofs._output import Judgement, OutputReader, normalised
from tests.proofs import fake

pytestmark = pytest.mark.req("HS-13")


def read(text: str) -> list[Judgement]:
    reader = OutputReader()
    judged = [judgement for line in text.splitlines() if (judgement := reader.line(line)) is not None]
    reader.finish()
    return judged


def test_verdicts_come_in_order_with_the_trace_of_an_attack() -> None:
    first, second, third = read(fake.GOOD)
    assert (first.echo, first.verdict, first.trace) == ("not attacker(s[])", "true", None)
    assert (second.echo, second.verdict) == (fake.AGREES[1], "true")
    assert (third.echo, third.verdict) == (fake.REACHED[1], "false")
    assert third.trace is not None
    assert third.trace.startswith("Derivation:\n1. The attacker starts it.")


def test_remark_on_an_injective_query_is_no_verdict_of_its_own() -> None:
    text = (
        "RESULT inj-event(A(x)) ==> inj-event(B(x)) is false.\n"
        "RESULT (but event(A(x_1)) ==> event(B(x_1)) is true.)\n"
        "RESULT inj-event(C(x)) ==> inj-event(D(x)) is false.\n"
        "RESULT (even event(C(x_1)) ==> event(D(x_1)) is false.)\n"
        "Verification summary:\n\n"
        "Query inj-event(A(x)) ==> inj-event(B(x)) is false.\n\n"
        "Query inj-event(C(x)) ==> inj-event(D(x)) is false.\n"
    )
    assert [judgement.verdict for judgement in read(text)] == ["false", "false"]


def test_cannot_be_proved_is_a_verdict_of_its_own() -> None:
    text = (
        "RESULT not attacker(k[]) cannot be proved.\nVerification summary:\nQuery not attacker(k[]) cannot be proved.\n"
    )
    assert [judgement.verdict for judgement in read(text)] == ["cannot_be_proved"]


def test_colours_are_taken_away() -> None:
    text = "\x1b[1mRESULT not attacker(k[]) is true.\x1b[0m\nVerification summary:\nQuery not attacker(k[]) is true.\n"
    assert read(text)[0].echo == "not attacker(k[])"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "before its summary"),
        ("RESULT not attacker(k[]) is true.\n", "before its summary"),
        ("RESULT not attacker(k[]) is true.\nVerification summary:\n", "0 entries for 1"),
        ("Verification summary:\nQuery not attacker(k[]) is true.\n", "1 entries for 0"),
        ("RESULT nothing that anyone knows\n", "cannot be read"),
        ('File "a.pv", line 3:\nError: Syntax error.\n', "Syntax error"),
    ],
)
def test_output_that_is_not_whole_is_refused(text: str, message: str) -> None:
    with pytest.raises(EngineFailure, match=message):
        read(text)


def test_numbering_of_variables_does_not_matter() -> None:
    assert normalised("event(A(@12_x,nonce_3))  ==> @12_x = y_1") == "event(A(x,nonce)) ==> x = y"


def test_long_traces_are_cut_at_the_front() -> None:
    reader = OutputReader()
    reader.line("Derivation:")
    for number in range(5_000):
        reader.line(f"{number}. " + "x" * 100)
    judged = reader.line("RESULT not attacker(k[]) is false.")
    assert judged is not None
    assert judged.trace is not None
    assert len(judged.trace) <= 64 * 1024 + 5_000
    assert judged.trace.splitlines()[-1].startswith("4999. ")


@given(st.lists(st.text(max_size=60), max_size=20))
def test_garbage_never_becomes_a_verdict(lines: list[str]) -> None:
    reader = OutputReader()
    for line in lines:
        if not line.startswith("RESULT "):
            assert reader.line(line) is None
    with pytest.raises(EngineFailure):
        reader.finish()


def test_summary_with_lemmas_is_two_lists() -> None:
    reader = OutputReader()
    lines = (
        "RESULT event(A) ==> event(B) is true.",
        "RESULT not attacker(k[]) is true.",
        "Verification summary:",
        "Query(ies):",
        " - Query not attacker(k[]) is true.",
        "Associated lemma(s):",
        " - Lemma event(A) ==> event(B) is true in process 1.",
    )
    judged = [one for line in lines if (one := reader.line(line)) is not None]
    assert [one.verdict for one in judged] == ["true", "true"]
    reader.finish()
