"""The committed scripts: complete in what they ask, and judged by ProVerif where it is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alts_proofs import SCRIPTS, Manifest, ProVerif, Script, load_manifest, prove

MANIFEST: Manifest = load_manifest()
_COMMENT = re.compile(r"\(\*.*?\*\)", re.DOTALL)
_MACRO = re.compile(r"def (\w+)\(\) \{(.*?)\n\}", re.DOTALL)


def source(path: Path) -> str:
    return _COMMENT.sub("", path.read_text(encoding="utf-8"))


def whole(script: Script) -> str:
    return "\n".join(source(script.root / file) for file in (*script.libraries, script.file))


def declared_events(script: Script) -> set[str]:
    """The events of a script that any of its queries mentions."""
    mentioned = {event for query in script.queries for event in re.findall(r"event\((\w+)", query.echo)}
    return mentioned & set(re.findall(r"^event (\w+)[(.]", whole(script), re.MULTILINE))


EVENTS = sorted({event for script in MANIFEST.scripts for event in declared_events(script)})
MACROS = {
    name: [
        " ".join(goal.split())
        for declared in re.findall(r"(?:query|lemma) (.*?)\.\n", body + "\n", re.DOTALL)
        for goal in declared.split(";")[1:] or [declared]  # behind the variables; a lemma may have several
    ]
    for path in (SCRIPTS / "queries").iterdir()
    for name, body in _MACRO.findall(source(path))
}


def asked(script: Script) -> list[str]:
    """The texts of the script's queries in their order."""
    return [query for name in re.findall(r"expand (\w+)\(\)", source(script.path)) for query in MACROS[name]]


@pytest.mark.req("HS-13")
@pytest.mark.parametrize("script", MANIFEST.scripts, ids=lambda script: script.file)
def test_every_event_of_a_query_is_declared_and_executed(script: Script) -> None:
    text = whole(script)
    for query in script.queries:
        for event in re.findall(r"event\((\w+)", query.echo):
            assert event in declared_events(script), query.id
            # An excuse, right of the arrow, may be one that nothing in this script gives.
            executed = len(re.findall(rf"\bevent {event}\(", text)) > 1
            assert executed or event not in query.echo.split("==>")[0], query.id


@pytest.mark.req("HS-13")
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_reachability_query(event: str) -> None:
    reached = [
        query.id
        for query in MANIFEST.queries.values()
        if query.kind == "reachability" and query.echo.startswith(f"not event({event}(")
    ]
    assert reached, f"nothing shows that {event} can happen"


@pytest.mark.req("HS-8", "HS-9")
def test_payload_is_delivered_each_way_with_nobody_compromised() -> None:
    (script,) = MANIFEST.select(["static_reachability.pv"])
    assert "corruption/nobody.pvl" in script.libraries
    assert not any(
        library in script.libraries for library in ("corruption/credentials.pvl", "corruption/dh_keys_stolen.pvl")
    )
    echoes = [query.echo for query in script.queries]
    assert "not event(ServerReceives(s,c,clientPayload(c,s)))" in echoes
    assert "not event(ClientReceives(c,s,serverPayload(s,c)))" in echoes


@pytest.mark.req("HS-13")
def test_every_true_query_has_a_twin_or_says_why_not() -> None:
    twinned = {query.twin_of for query in MANIFEST.queries.values() if query.expected == "false"}
    for query in MANIFEST.queries.values():
        if query.kind == "property":
            assert (query.id in twinned) != (query.no_twin is not None), query.id


@pytest.mark.req("HS-13")
def test_twin_differs_from_its_original_in_the_removed_check_alone() -> None:
    home = {query.id: script for script in MANIFEST.scripts for query in script.queries}
    for script in MANIFEST.scripts:
        for query in script.queries:
            if query.kind not in ("twin", "control"):
                continue
            assert script.file.startswith("twins/")
            if query.twin_of is None:
                continue
            original = home[query.twin_of]
            changed = [
                (before, after)
                for before, after in zip(original.libraries, script.libraries, strict=True)
                if before != after
            ]
            assert changed, query.id
            assert all(b.startswith("checks/") and a.startswith("weakened/") for b, a in changed), query.id
            assert query.echo == original.queries[[q.id for q in original.queries].index(query.twin_of)].echo


@pytest.mark.req("HS-13")
def test_every_check_is_missed_when_it_is_removed() -> None:
    """Each file of checks/ is left out by a twin that must fail, so that no check is there for show."""
    removed = {
        before
        for script in MANIFEST.scripts
        if any(query.kind == "twin" for query in script.queries)
        for before, _ in script.replaced
    }
    assert {f"checks/{path.name}" for path in (SCRIPTS / "checks").iterdir()} <= removed


@pytest.mark.req("HS-13")
def test_every_file_is_used() -> None:
    used = {file for script in MANIFEST.scripts for file in (*script.libraries, script.file)}
    present = {str(path.relative_to(SCRIPTS)) for path in SCRIPTS.rglob("*.pv*")}
    assert used == present


@pytest.mark.req("HS-13")
@pytest.mark.parametrize("script", MANIFEST.scripts, ids=lambda script: script.file)
def test_script_asks_as_many_queries_as_are_expected(script: Script) -> None:
    texts = asked(script)
    assert len(texts) == len(script.queries)
    for text, query in zip(texts, script.queries, strict=True):
        assert set(re.findall(r"event\((\w+)", text)) == set(re.findall(r"event\((\w+)", query.echo)), query.id


@pytest.mark.req("HS-13")
def test_comments_of_weakened_checks_say_what_was_removed() -> None:
    for path in (SCRIPTS / "weakened").iterdir():
        assert path.read_text(encoding="utf-8").startswith("(* Removed: "), path.name


def _proverif() -> ProVerif:
    engine = ProVerif()
    reason = engine.available()
    if reason is not None:
        pytest.skip(reason)
    return engine


# All scripts take minutes: `alts prove` runs them. A few show here that the chain to the real program holds.
@pytest.mark.parametrize(
    "file", ["static_tickets.pv", "static_observer.pv", "twins/no_ticket_mac.pv", "twins/humans_serve.pv"]
)
@pytest.mark.req("HS-13")
@pytest.mark.timeout(320)
def test_proverif_gives_the_expected_results(file: str) -> None:
    engine = _proverif()
    report = prove(engine, MANIFEST.select([file]))
    assert report.exit_code() == 0, "\n".join(report.lines())
