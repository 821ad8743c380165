"""Verdicts of the built-in prover: known by hand, and against ProVerif, if it is here, also on random scripts."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alts_proofs import ProVerif
from alts_proofs.engine import Verdict, elaborate, parse_text, settle
from tests.proofs.engine.known import KNOWN, Known
from tests.proofs.engine.known_behind import APART, BEHIND, UNDECIDED
from tests.proofs.engine.known_events import EVENTS
from tests.proofs.engine.mutants import TEMPLATES, mutant
from tests.proofs.engine.random_scripts import random_script

pytestmark = pytest.mark.req("HS-13")


def deep(work: Callable[[], list[Verdict]]) -> list[Verdict]:
    """Runs `work` on a large stack, as the engine's own processes do."""
    found: list[list[Verdict]] = []
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    threading.stack_size(256 << 20)
    try:
        thread = threading.Thread(target=lambda: found.append(work()))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
        sys.setrecursionlimit(limit)
    return found[0]


def verdicts(text: str, seconds: float = 60.0) -> list[Verdict]:
    def work() -> list[Verdict]:
        model = elaborate(parse_text(text))
        found = dict(settle(model, range(len(model.queries)), time.monotonic() + seconds))
        return [found[index] for index in range(len(model.queries))]

    return deep(work)


@pytest.mark.parametrize("known", [*KNOWN, *EVENTS, *BEHIND, *UNDECIDED, *APART], ids=lambda known: known.name)
def test_known_verdicts(known: Known) -> None:
    found = verdicts(known.text)
    assert tuple(verdict.result for verdict in found) == known.verdicts, [verdict.reason for verdict in found]


def test_an_attack_tells_its_steps() -> None:
    (known,) = (one for one in KNOWN if one.name == "replay breaks injectivity only")
    lines = [line.text for line in verdicts(known.text)[0].lines]
    assert sum(line.startswith("event Begin(") for line in lines) == 1
    assert sum(line.startswith("event End(") for line in lines) == 2
    assert lines[-1] == "two executions of the event in front, one of that behind"


def test_a_secrecy_assumption_that_does_not_hold_proves_nothing() -> None:
    (known,) = (one for one in KNOWN if one.name == "secrecy assumption")
    (verdict,) = verdicts(known.text.replace("out(c, senc(s, k))", "out(c, senc(s, k)); out(c, k)"))
    assert verdict.result == "cannot_be_proved"
    assert verdict.reason is not None
    assert "declared with not" in verdict.reason


# The oracle.


@pytest.fixture(scope="module")
def proverif() -> str:
    engine = ProVerif()
    reason = engine.available()
    if reason is not None:
        pytest.skip(reason)
    assert engine._executable is not None
    return engine._executable


def oracle(executable: str, path: Path, text: str) -> list[str] | None:
    """What ProVerif says; None if it does not finish soon or refuses the script."""
    path.write_text(text, encoding="utf-8")
    try:
        output = subprocess.run([executable, str(path)], capture_output=True, text=True, timeout=10, check=False).stdout
    except subprocess.TimeoutExpired:
        return None
    words = {"true": "true", "false": "false", "proved": "cannot_be_proved"}
    found = [
        re.search(r"(true|false|proved)\.?\s*$", line) for line in output.splitlines() if line.startswith("RESULT ")
    ]
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    return [
        words[match[1]] for match, line in zip(found, lines, strict=True) if match and not line.startswith("RESULT (")
    ] or None


@pytest.mark.parametrize("known", [*KNOWN, *EVENTS, *BEHIND], ids=lambda known: known.name)
def test_proverif_says_the_same(known: Known, proverif: str, tmp_path: Path) -> None:
    assert oracle(proverif, tmp_path / "known.pv", known.text) == list(known.verdicts)


@pytest.mark.parametrize("index", range(len(TEMPLATES)))
def test_unchanged_protocols_are_settled(index: int) -> None:
    """The changes below would show little if the originals were not secure where they are meant to be."""
    seeds = (seed for seed in range(10_000) if Random(seed).choice(TEMPLATES) is TEMPLATES[index])
    text = next(text for text in map(mutant, seeds) if TEMPLATES[index] in text)
    found = {verdict.result for verdict in verdicts(text)}
    assert "true" in found
    assert found <= {"true", "false"}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9))
def test_no_contradiction_on_changed_protocols(seed: int, proverif: str, tmp_path: Path) -> None:
    text = mutant(seed)
    expected = oracle(proverif, tmp_path / "mutant.pv", text)
    if expected is None:
        return
    for mine, theirs in zip(verdicts(text, 20.0), expected, strict=True):
        assert {mine.result, theirs} != {"true", "false"}, text


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9))
def test_no_contradiction_on_random_scripts(seed: int, proverif: str, tmp_path: Path) -> None:
    text = random_script(seed)
    expected = oracle(proverif, tmp_path / "random.pv", text)
    if expected is None:
        return
    found = verdicts(text, 20.0)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert {mine.result, theirs} != {"true", "false"}, text
