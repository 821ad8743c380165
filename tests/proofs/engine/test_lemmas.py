"""Lemmas: where they help, and where they must not; by induction, and with an assumption of secrecy."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alts_proofs.engine import Unsupported, elaborate, parse_text
from tests.proofs.engine.known import Known
from tests.proofs.engine.known_lemmas import LEMMAS
from tests.proofs.engine.random_lemmas import as_queries, random_lemmas
from tests.proofs.engine.test_verdicts import oracle, proverif, verdicts

pytestmark = pytest.mark.req("HS-13")

__all__ = ["proverif"]


@pytest.mark.parametrize("known", LEMMAS, ids=lambda known: known.name)
def test_known_verdicts(known: Known) -> None:
    found = verdicts(known.text)
    assert tuple(verdict.result for verdict in found) == known.verdicts, [verdict.reason for verdict in found]


@pytest.mark.parametrize("known", LEMMAS, ids=lambda known: known.name)
def test_proverif_says_the_same_without_lemmas(known: Known, proverif: str, tmp_path: Path) -> None:
    """What a lemma proves is true whether ProVerif can prove it without or not."""
    expected = oracle(proverif, tmp_path / "plain.pv", as_queries(known.text))
    assert expected is not None or "not attacker(k1)" in known.text
    mine = [verdict.result for verdict in verdicts(as_queries(known.text))]
    for told, with_lemmas, theirs in zip(mine, known.verdicts, expected or (), strict=False):
        assert {told, theirs} != {"true", "false"}
        assert {with_lemmas, theirs} != {"true", "false"} or known.text.index("query") < known.text.index("lemma")


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("lemma x: bitstring; event(E(x)) [removeEvents].", "script.pv:3: option removeEvents of a lemma"),
        ("lemma x: bitstring; event(E(x)) [keep].", "script.pv:3: option keep of a lemma"),
        ("axiom x: bitstring; event(E(x)).", "script.pv:3: axiom"),
        ("restriction x: bitstring; event(E(x)).", "script.pv:3: restriction"),
    ],
)
def test_refused_by_name_and_line(declaration: str, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        elaborate(parse_text(f"free c: channel.\nevent E(bitstring).\n{declaration}\nprocess out(c, c)"))


def test_a_lemma_that_is_not_understood_is_not_used() -> None:
    """An attacker's fact behind the arrow is refused, and nothing rests on the lemma."""
    lemma, query = verdicts(
        "free c: channel. free k: bitstring [private]. event E(bitstring).\n"
        "lemma x: bitstring; event(E(x)) ==> attacker(k).\nquery x: bitstring; event(E(x)).\n"
        "process new n: bitstring; event E(n)"
    )
    assert lemma.result == "unsupported"
    assert query.result == "false"


def test_terms_with_equations_are_left_alone() -> None:
    """Lemmas about them are proved, and not used."""
    lemma, query = verdicts(
        "free c: channel. const g: bitstring. fun exp(bitstring, bitstring): bitstring.\n"
        "equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).\n"
        "event E(bitstring).\n"
        "lemma x: bitstring, y: bitstring; event(E(exp(exp(g, x), y))) && attacker(exp(exp(g, y), x)) [induction].\n"
        "query x: bitstring; event(E(x)).\n"
        "process new n: bitstring; new m: bitstring; event E(exp(exp(g, n), m))"
    )
    assert lemma.result == "true"
    assert query.result == "false"


def test_a_lemma_that_doubles_terms_is_applied_only_so_often() -> None:
    """After forty times the term would have 2 ** 40 symbols."""
    text = (
        "free c: channel. free k: bitstring [private]. fun f(bitstring, bitstring): bitstring.\n"
        "event A(bitstring). event B().\n"
        "lemma x: bitstring; event(A(x)) ==> event(A(f(x, x))).\n"
        "query x: bitstring; event(A(x)) ==> event(B()).\n"
        "process new n: bitstring; if n = k then event A(n)"
    )
    assert [verdict.result for verdict in verdicts(text)] == ["true", "true"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9))
def test_no_contradiction_on_random_lemmas(seed: int, proverif: str, tmp_path: Path) -> None:
    """Every `true` that lemmas bring about is compared with ProVerif's verdict on the same queries without lemmas."""
    text = random_lemmas(Random(seed))
    expected = oracle(proverif, tmp_path / "random.pv", as_queries(text))
    if expected is None:
        return
    found = verdicts(text, 20.0)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert {mine.result, theirs} != {"true", "false"}, text
