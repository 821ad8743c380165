"""No query is vacuous: every event that a query speaks of is reached, in the same kind of realm, with that very event.

Queries and processes are read by the engine's parser, with all macros expanded; nothing here searches text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from alts_proofs import Manifest, Query, Script, load_manifest
from alts_proofs.engine import _core as core
from alts_proofs.engine import elaborate, parse_script
from alts_proofs.engine._terms import App

pytestmark = pytest.mark.req("HS-13")

MANIFEST: Manifest = load_manifest()


@cache
def model(file: str) -> core.Model:
    (script,) = MANIFEST.select([file])
    return elaborate(parse_script(script.path, [script.root / one for one in script.libraries], script.root))


def kind(script: Script) -> tuple[str, ...]:
    """What an event's reachability depends on: the realm that the script runs.

    That honest runs complete with every cipher and both ways of resumption is shown where they are compared with the
    model.
    """
    places = [library for library in script.libraries if library.startswith(("lib/", "brief/"))]
    return tuple(sorted(library for library in places if "realm" in library or "ideal" in library))


OPEN: dict[tuple[str, ...], str] = {}
"""Realms in which an event is not shown to happen, with the reason; empty, and a new one is conspicuous here."""


def events(query: core.Query) -> set[str]:
    """The events of a query, on either side."""
    return {
        atom.args[0].sym.label
        for atom in (*query.left, *(one for disjunct in query.right for one in disjunct))
        if atom.kind == "event" and isinstance(atom.args[0], App)
    }


def pairs(script: Script) -> Iterator[tuple[Query, core.Query]]:
    """Each query of the script with what must come out."""
    yield from zip(script.queries, model(script.file).queries, strict=True)


def reached(script: Script) -> set[str]:
    """Events that happen in some run that a query must find, of the sound scripts.

    A reachability query finds a run with its one event; an attack that the design accepts is a run in which all events
    in front of the arrow happen.
    """
    return {
        atom.args[0].sym.label
        for expected, query in pairs(script)
        if expected.expected == "false" and expected.kind in ("reachability", "limit")
        for atom in query.left
        if atom.kind == "event" and isinstance(atom.args[0], App)
    }


def executed(node: core.Node) -> set[str]:
    """The events that a process has anywhere."""
    found: set[str] = set()
    stack: list[core.Node] = [node]
    while stack:
        one = stack.pop()
        match one:
            case core.Par(parts):
                stack.extend(parts)
            case core.LetIn() | core.Get():
                stack += [one.body, one.other]
            case core.Test():
                stack += [one.then, one.other]
            case core.Nil():
                pass
            case core.Event():
                found.add(one.event.label)
                stack.append(one.body)
            case _:
                stack.append(one.body)
    return found


USED = sorted(
    {(kind(script), event) for script in MANIFEST.scripts for _, query in pairs(script) for event in events(query)}
)


CASES = [
    pytest.param(*one, marks=pytest.mark.xfail(strict=True, reason=OPEN[one[0]]) if one[0] in OPEN else ())
    for one in USED
]


def test_reachability_queries_ask_for_events_alone() -> None:
    """Nothing else may stand in the way, and nothing may excuse them."""
    for script in MANIFEST.scripts:
        for expected, query in pairs(script):
            if expected.kind == "reachability":
                assert expected.expected == "false", expected.id
                assert {atom.kind for atom in query.left} == {"event"}, expected.id
                assert query.right == (), expected.id


def test_scripts_are_read() -> None:
    assert len(USED) >= 20
    assert {event for _, event in USED} >= {"ClientCompletes", "ServerAccepts", "MasterStolen", "DhKeyStolen"}


@pytest.mark.parametrize("event", sorted({event for _, event in USED}))
def test_every_event_of_a_query_is_reached_somewhere(event: str) -> None:
    assert any(event in reached(script) for script in MANIFEST.scripts)


@pytest.mark.parametrize(
    ("where", "event"), CASES, ids=lambda value: value if isinstance(value, str) else "+".join(value)
)
def test_every_event_of_a_query_is_reached_where_it_is_asked_about(where: tuple[str, ...], event: str) -> None:
    """In a script with the same realm."""
    alike = [script for script in MANIFEST.scripts if kind(script) == where]
    assert any(event in reached(script) for script in alike), f"nothing shows that {event} can happen with {where}"


@pytest.mark.parametrize("script", MANIFEST.scripts, ids=lambda script: script.file)
def test_claimed_events_are_executed_in_the_script_itself(script: Script) -> None:
    """An event in front of an arrow that its own process never executes would make the query vacuous."""
    here = executed(model(script.file).process)
    claimed = {
        atom.args[0].sym.label
        for query in model(script.file).queries
        for atom in query.left
        if atom.kind == "event" and isinstance(atom.args[0], App)
    }
    assert claimed <= here


def test_a_missing_reachability_query_is_noticed() -> None:
    """Without the scripts that show reachability nothing is reached."""
    rest = [
        script for script in MANIFEST.scripts if "reach" not in script.file and not script.file.startswith("twins/")
    ]
    assert any(not any(event in reached(script) for script in rest) for _, event in USED)
