"""No query is vacuous: every event that a query speaks of is reached in the very process that the query is about.

A query finds the event, or the honest run does, in the script itself or in one whose process is a part of its process:
what happens in a part happens in the whole. Excepted are the excuses in `NEVER_GIVEN`. Queries and processes are read
by the engine's parser, with all macros expanded; nothing here searches text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from alts_proofs import Manifest, Query, Script, load_manifest
from alts_proofs.engine import _core as core
from alts_proofs.engine import elaborate, parse_script
from alts_proofs.engine._terms import App
from alts_proofs.honest import honest_run
from tests.differential.scripts_runs import family, plan
from tests.proofs.processes import is_part_of

pytestmark = pytest.mark.req("HS-13")

MANIFEST: Manifest = load_manifest()
SCRIPTS = {script.file: script for script in MANIFEST.scripts}

BY_HONEST_RUN = "brief/chain.pvl"
"""Chains alone are shown to go on by a run that the interpreter of honest runs executes: ProVerif settles only the
reachability of some of their events."""

_NO_DH_THEFT = frozenset({"DhKeyStolen"})
_NO_RESUMPTION_THEFT = frozenset({"ResumptionKeyStolen"})
NEVER_GIVEN = {
    "client-side/resumption-key-theft/client-not-fooled": _NO_DH_THEFT,
    "client-side/resumption-key-theft/server-fooled": _NO_DH_THEFT,
    "server-side/resumption-key-theft/client-fooled": _NO_DH_THEFT,
    "server-side/resumption-key-theft/server-not-fooled": _NO_DH_THEFT,
    "client-side/key-theft/kci-client": _NO_RESUMPTION_THEFT,
    "client-side/key-theft/kci-server": _NO_RESUMPTION_THEFT,
    "server-side/key-theft/kci-client": _NO_RESUMPTION_THEFT,
    "server-side/key-theft/kci-server": _NO_RESUMPTION_THEFT,
}
"""Excuses of queries that stand in files with one of two kinds of theft: the process never gives the other's excuse, so
that it excuses nothing there."""


@cache
def model(file: str) -> core.Model:
    script = SCRIPTS[file]
    return elaborate(parse_script(script.path, [script.root / one for one in script.libraries], script.root))


def left(query: core.Query) -> set[str]:
    """The events in front of the arrow."""
    return {atom.args[0].sym.label for atom in query.left if atom.kind == "event" and isinstance(atom.args[0], App)}


def events(query: core.Query) -> set[str]:
    """The events of a query, on either side."""
    right = {
        atom.args[0].sym.label
        for disjunct in query.right
        for atom in disjunct
        if atom.kind == "event" and isinstance(atom.args[0], App)
    }
    return left(query) | right


def pairs(script: Script) -> Iterator[tuple[Query, core.Query]]:
    """Each query of the script with what must come out."""
    yield from zip(script.queries, model(script.file).queries, strict=True)


@cache
def reached(file: str) -> frozenset[str]:
    """Events that happen in some run that a query of the script must find.

    A reachability query finds a run with its one event; an attack is a run in which all events in front of the arrow
    happen.
    """
    found = [left(query) for expected, query in pairs(SCRIPTS[file]) if expected.expected == "false"]
    return frozenset().union(*found)


@cache
def run(file: str) -> frozenset[str]:
    """Events of the honest run, where that is what shows them."""
    script = SCRIPTS[file]
    row = family(script) if BY_HONEST_RUN in script.libraries else None
    if row is None:
        return frozenset()
    story = honest_run(script, plan(row, "individual(machineKind)"))
    assert story.failures == []
    return frozenset(one.event for one in story.events)


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


def needed(script: Script) -> set[str]:
    """The events of the script's queries, but for excuses that its process is known not to give."""
    asked: set[str] = set()
    for expected, query in pairs(script):
        asked |= events(query) - NEVER_GIVEN.get(expected.id, frozenset())
    return asked


def missing(script: Script, others: Iterable[Script]) -> set[str]:
    """Events of the script's queries that nothing shows to happen in its process."""
    rest = needed(script) - reached(script.file) - run(script.file)
    for other in others:
        if rest & reached(other.file) and is_part_of(model(other.file), model(script.file)):
            rest -= reached(other.file)
    return rest


@pytest.mark.parametrize("script", MANIFEST.scripts, ids=lambda script: script.file)
def test_every_event_of_a_query_is_reached_in_its_process(script: Script) -> None:
    assert missing(script, MANIFEST.scripts) == set()


def test_excuses_that_are_never_given_are_these() -> None:
    """Exactly these: an event that no process executes is else a query that says something else than it seems to."""
    never = {
        expected.id: absent
        for script in MANIFEST.scripts
        for expected, query in pairs(script)
        if (absent := events(query) - executed(model(script.file).process))
    }
    assert never == NEVER_GIVEN


def test_reachability_queries_ask_for_events_alone() -> None:
    """Nothing else may stand in the way, and nothing may excuse them."""
    for script in MANIFEST.scripts:
        for expected, query in pairs(script):
            if expected.kind == "reachability":
                assert expected.expected == "false", expected.id
                assert {atom.kind for atom in query.left} == {"event"}, expected.id
                assert query.right == (), expected.id


def test_scripts_are_read() -> None:
    used = {event for script in MANIFEST.scripts for event in needed(script)}
    assert used >= {"ClientCompletes", "ServerAccepts", "MasterStolen", "DhKeyStolen", "ResumedServerMakesTicket"}
    assert all(needed(script) for script in MANIFEST.scripts if any(" ==> " in query.echo for query in script.queries))


@pytest.mark.parametrize("script", MANIFEST.scripts, ids=lambda script: script.file)
def test_claimed_events_are_executed_in_the_script_itself(script: Script) -> None:
    """An event in front of an arrow that its own process never executes would make the query vacuous."""
    claimed: set[str] = set().union(*(left(query) for query in model(script.file).queries))
    assert claimed <= executed(model(script.file).process)


@pytest.mark.parametrize(
    "gone",
    [
        "pfs_reachability.pv",
        "hybrid_reachability.pv",
        "kci_events_reachability.pv",
        "static_reachability.pv",
        "client_side_reachability.pv",
        "server_side_ideal_reachability.pv",
        "master_theft_reachability.pv",
        "static_without_tickets_reachability.pv",
    ],
)
def test_a_missing_file_is_noticed(gone: str) -> None:
    """Each shows what nothing else shows of its family."""
    rest = [script for script in MANIFEST.scripts if script.file != gone]
    assert any(missing(script, rest) for script in rest)


def test_a_gap_in_one_cipher_is_noticed() -> None:
    """What another cipher reaches counts for nothing."""
    rest = [script for script in MANIFEST.scripts if not script.file.startswith(("kci", "dh_key"))]
    assert missing(SCRIPTS["kci_agreement.pv"], rest) >= {"ServerAccepts"}
    assert missing(SCRIPTS["kci_key_theft.pv"], rest) >= {"ServerAccepts", "DhKeyStolen"}


PARTS = [
    ("pfs_reachability.pv", "pfs_agreement.pv", True),
    ("pfs_reachability.pv", "pfs_secrecy.pv", True),
    ("pfs_agreement.pv", "pfs_key_theft.pv", True),
    ("dh_key_theft_reachability.pv", "kci_key_theft.pv", True),
    ("dh_key_theft_reachability.pv", "kci_agreement.pv", False),
    ("pfs_secrecy.pv", "pfs_reachability.pv", False),
    ("pfs_reachability.pv", "kci_agreement.pv", False),
    ("pfs_reachability.pv", "twins/pfs_no_nonces.pv", False),
    ("static_reachability.pv", "static_agreement.pv", True),
    ("static_reachability.pv", "twins/no_workload_scope.pv", False),
    ("static_observer.pv", "static_agreement.pv", False),
    ("server_side_reachability.pv", "reflected_ticket.pv", False),
]


@pytest.mark.parametrize(("part", "whole", "expected"), PARTS)
def test_what_is_a_part_of_what(part: str, whole: str, expected: bool) -> None:
    assert is_part_of(model(part), model(whole)) is expected
    assert is_part_of(model(part), model(part))


BASE = """
free network: channel.
fun pair(bitstring, bitstring): bitstring [data].
fun seal(bitstring, bitstring): bitstring.
fun open(bitstring, bitstring): bitstring reduc forall k, m: bitstring; open(k, seal(k, m)) = m.
event Made(bitstring).
event Got(bitstring).
"""
WHOLE = """
process !new k: bitstring; event Made(k); out(network, seal(k, k));
  ( (in(network, x: bitstring); let y = open(k, x) in if y = k then event Got(y); out(network, y))
  | out(network, pair(k, k)) )
"""
RUNS: dict[str, tuple[Callable[[str], str], bool]] = {
    "the same": (lambda text: text, True),
    "other names": (lambda text: text.replace("(k", "(a").replace(" k", " a"), True),
    "an output less": (lambda text: text.replace("out(network, pair(k, k))", "0"), True),
    "nothing": (lambda text: "process 0", True),
    "the end missing": (lambda text: text.replace("event Got(y); out(network, y)", "event Got(y)"), True),
    "an event less": (lambda text: text.replace("event Made(k); ", ""), True),
    "an event more": (lambda text: text.replace("event Made(k); ", "event Made(k); event Made(k); "), False),
    "another message": (lambda text: text.replace("pair(k, k)", "pair(k, seal(k, k))"), False),
    "an output more": (lambda text: text.replace("event Got(y); ", "event Got(y); out(network, k); "), False),
    "a check less": (lambda text: text.replace("if y = k then ", ""), False),
    "another check": (lambda text: text.replace("if y = k then", "if y = x then"), False),
    "a message less on the way": (lambda text: text.replace("out(network, seal(k, k));", ""), False),
    "a listener": (lambda text: "set attacker = passive." + text, False),
    "another meaning": (lambda text: text.replace("process", "fun more(bitstring): bitstring. process"), False),
}


@pytest.mark.parametrize("name", RUNS)
def test_small_parts_and_wholes(tmp_path: Path, name: str) -> None:
    def read(file: str, text: str) -> core.Model:
        path = tmp_path / file
        path.write_text(BASE + text, encoding="utf-8")
        return elaborate(parse_script(path, [], tmp_path))

    change, expected = RUNS[name]
    assert change(WHOLE) != WHOLE or name == "the same"
    assert is_part_of(read("part.pv", change(WHOLE)), read("whole.pv", WHOLE)) is expected


def test_event_that_may_fail_stops_a_run(tmp_path: Path) -> None:
    """Only events that always happen may be left out of the part."""
    models = []
    for number, events_there in enumerate(("", "event Got(open(x, x)); ")):
        path = tmp_path / f"{number}.pv"
        text = f"process in(network, x: bitstring); {events_there}event Made(x)"
        path.write_text(BASE + text, encoding="utf-8")
        models.append(elaborate(parse_script(path, [], tmp_path)))
    assert not is_part_of(models[0], models[1])
