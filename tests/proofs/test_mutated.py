"""Mutated scripts: they apply, they say what they take out, and a mutant that nothing misses is a finding."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Event

import jsonschema
import pytest

from alts_proofs import SCRIPTS, EngineFailure, Manifest, Outcome, Script, UsageError, load_manifest, select_engine
from alts_proofs._outcome import Result
from alts_proofs.cli import add_arguments, run
from alts_proofs.mutate import Edit, Mutant, MutationError, choose, mutated, survey
from alts_proofs.mutate_run import MUTANTS, Survey, mutants_schema, run_survey

pytestmark = pytest.mark.req("HS-13")

MANIFEST: Manifest = load_manifest()
ONE = next(mutant for mutant in MUTANTS if mutant.name == "no-shared-secret")


class Played:
    """An engine that answers what it is told, and keeps what it was given."""

    name = "played"
    version = "1"

    def __init__(self, answer: Callable[[Script], Result]) -> None:
        self.answer = answer
        self.given: list[tuple[Script, dict[str, str]]] = []

    def available(self) -> str | None:
        return None

    def prove(self, script: Script, timeout: float, cancelled: Event) -> tuple[Outcome, ...]:
        files = {file: (script.root / file).read_text(encoding="utf-8") for file in (*script.libraries, script.file)}
        self.given.append((script, files))
        return tuple(Outcome(query, self.answer(script), 0.5) for query in script.queries)


def is_original(script: Script) -> bool:
    """Whether none of its files is changed."""
    return all((script.root / file).read_bytes() == (SCRIPTS / file).read_bytes() for file in script.libraries)


def test_there_are_thirty_of_all_kinds() -> None:
    assert len(MUTANTS) >= 30
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({mutant.edits for mutant in MUTANTS}) >= 30
    edited = {edit.file for mutant in MUTANTS for edit in mutant.edits}
    assert {"checks/nonces.pvl"} | edited >= {
        "checks/transcript.pvl",
        "checks/policy.pvl",
        "corruption/credentials.pvl",
        "corruption/resumption_keys_stolen.pvl",
        "brief/tickets.pvl",
    }


@pytest.mark.parametrize(
    ("scripts", "least"),
    [
        ("static_*", 30),
        ("kci_*", 10),
        ("*_credentials.pv", 15),
        ("client_side_agreement.pv", 5),
        ("server_side_agreement.pv", 5),
        ("client_side_ideal_*", 5),
        ("server_side_ideal_*", 5),
        ("twins/reflected_ticket_only_*", 6),
    ],
)
def test_every_family_has_mutants(scripts: str, least: int) -> None:
    """Certificate chains, the resistant cipher, resumption on either side, with forward secrecy (ideal) and without."""
    assert sum(fnmatchcase(mutant.script, scripts) for mutant in MUTANTS) >= least


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_applies_and_must_lose_a_query_that_is_true(mutant: Mutant) -> None:
    """Every edit finds its text once, and nothing but the edited files differs from the sound scripts."""
    engine = Played(lambda script: "true" if is_original(script) else "false")
    found = survey(engine, MANIFEST, [mutant])
    assert [trial.passed for trial in found] == [True, True]
    (original, before), (_, after) = engine.given
    assert {query.expected for query in original.queries} == {"true"}
    changed = {file for file, text in after.items() if text != before[file]}
    assert changed == {edit.file for edit in mutant.edits}
    assert [query.id for query in original.queries] == list(mutant.queries)
    assert after[mutant.script].count("expand ") == len(mutant.queries)


def test_originals_are_asked_once_for_each_scenario() -> None:
    engine = Played(lambda script: "true" if is_original(script) else "cannot_be_proved")
    found = run_survey(engine, MANIFEST, MUTANTS)
    assert found.exit_code() == 0
    originals = [trial for trial in found.trials if trial.mutant is None]
    assert len(originals) == len({(mutant.script, mutant.swap) for mutant in MUTANTS})
    assert len(found.trials) == len(originals) + len(MUTANTS)
    jsonschema.validate(found.document(), mutants_schema())


@pytest.mark.parametrize(
    ("original", "mutant", "code", "word"),
    [
        ("true", "true", 1, "STILL TRUE no-shared-secret"),
        ("false", "false", 1, "NOT TRUE original static_secrecy.pv"),
        ("true", "timeout", 1, "NO VERDICT no-shared-secret"),
        ("true", "unsupported", 1, "NO VERDICT no-shared-secret"),
        ("timeout", "false", 1, "NOT TRUE original static_secrecy.pv"),
        ("true", "false", 0, "1 mutants, 1 refuted or no longer proved; 1 originals, 1 true"),
    ],
)
def test_what_is_a_finding(original: Result, mutant: Result, code: int, word: str) -> None:
    engine = Played(lambda script: original if is_original(script) else mutant)
    found = run_survey(engine, MANIFEST, [ONE])
    assert found.exit_code() == code
    assert word in "\n".join(found.lines())


def test_engine_that_fails_is_no_evidence() -> None:
    def answer(script: Script) -> Result:
        raise EngineFailure("broken")

    found = run_survey(Played(answer), MANIFEST, [ONE])
    assert found.exit_code() == 3
    assert "ERROR" in next(found.lines())
    jsonschema.validate(found.document(), mutants_schema())


def test_nothing_run_is_no_success() -> None:
    assert Survey("played", None, ()).exit_code() == 3
    assert run_survey(Played(lambda script: "true"), MANIFEST, []).exit_code() == 3


BROKEN = {
    "text that is gone": replace(ONE, edits=(Edit("lib/key_schedule.pvl", "no such text", ""),)),
    "text that is there twice": replace(ONE, edits=(Edit("lib/key_schedule.pvl", "hkdfExpand", "x"),)),
    "text that does not change": replace(ONE, edits=(Edit("lib/key_schedule.pvl", "extractSalt", "extractSalt"),)),
    "fragment of another script": replace(ONE, edits=(Edit("corruption/dh_keys_stolen.pvl", "event", ""),)),
    "no edit": replace(ONE, edits=()),
    "no query": replace(ONE, queries=()),
    "unknown query": replace(ONE, queries=("static/agreement-client",)),
    "unknown script": replace(ONE, script="static_nothing.pv"),
    "swap of a stranger": replace(ONE, swap=(("variants/nothing.pvl", "variants/tickets.pvl"),)),
    "swap for a missing file": replace(ONE, swap=(("variants/tickets.pvl", "variants/nothing.pvl"),)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_mutant_that_does_not_apply_is_an_error(name: str) -> None:
    engine = Played(lambda script: "false")
    with pytest.raises(MutationError):
        survey(engine, MANIFEST, [BROKEN[name]])
    assert engine.given == []


def test_edit_happens_exactly_once() -> None:
    assert mutated("a b c", Edit("f", "b", "d")) == "a d c"
    with pytest.raises(MutationError, match="2 times"):
        mutated("b b", Edit("f", "b", "d"))


def test_mutants_are_chosen_by_pattern() -> None:
    assert [mutant.name for mutant in choose(MUTANTS, ["no-shared-*"])] == ["no-shared-secret"]
    assert choose(MUTANTS, []) == MUTANTS
    with pytest.raises(UsageError, match="no mutant"):
        choose(MUTANTS, ["no-shared-*", "nothing"])


def command(*words: str) -> int:
    """`alts prove` with these words."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(words))


def test_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Played(lambda script: "true" if is_original(script) else "false")
    monkeypatch.setattr("alts_proofs.cli.select_engine", lambda name: engine)
    assert command("--mutants", "no-shared-secret", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [(trial["kind"], trial["passed"]) for trial in document["trials"]] == [("original", True), ("mutant", True)]
    assert command("--mutants", "no-shared-secret") == 0
    assert "1 mutants, 1 refuted" in capsys.readouterr().out
    assert command("--mutants", "nothing") == 2
    monkeypatch.setattr("alts_proofs.cli.MUTANTS", (BROKEN["text that is gone"],))
    assert command("--mutants") == 3
    assert "does not apply" in capsys.readouterr().err
    assert command("--mutants", "--list") == 0


def test_command_without_its_engine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ALTS_PROVERIF", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command("--mutants", "--engine", "proverif") == 3
    assert command("--mutants", "--engine", "proverif", "--allow-skipped") == 0
    assert "SKIPPED" in capsys.readouterr().out


@pytest.mark.timeout(300)
def test_the_built_in_engine_misses_a_check_that_is_gone() -> None:
    """All of them take minutes: `alts prove --mutants` runs them."""
    found = run_survey(select_engine("builtin"), MANIFEST, [ONE], timeout=250)
    assert found.exit_code() == 0, "\n".join(found.lines())
