"""What `alts model explore` runs: the searches of each family, and those with checks left out."""

from __future__ import annotations

from collections.abc import Iterator

from alts_model.explorer import Explorer
from alts_model.nodes import Result
from alts_model.properties import PROPERTIES
from alts_model.scenario import Scenario, scenarios
from alts_model.searches import OUTSIDE_REFLECTION, SEARCHES, family, scenarios_of
from alts_model.weakening import CHECKS, REFLECTION_CHECKS

_KEPT = ("", *sorted(REFLECTION_CHECKS))


def planned() -> Iterator[tuple[str, frozenset[str]]]:
    """What `alts model explore --search all` runs: scenarios, each with the checks that are left out of it."""
    for scenario in (*scenarios(2), *(one for name in SEARCHES for one in family(name))):
        yield scenario.name, frozenset()
    for kept in _KEPT:
        yield OUTSIDE_REFLECTION.name, REFLECTION_CHECKS - {kept}


def explore(
    sessions: int = 2, without: frozenset[str] = frozenset(), properties: frozenset[str] = PROPERTIES
) -> Iterator[Result]:
    """Search all scenarios about the handshake; with a check left out, only until an attack is found.

    A check of ciphers or resumption is left out of its own scenario instead.

    Raises:
        ValueError: `sessions` is not 1 or more.
    """
    if sessions < 1:
        raise ValueError("at least one session a role")
    named = frozenset(CHECKS[name].scenario for name in without) - {""}
    for scenario in scenarios_of(named) if named else scenarios(sessions):
        result = Explorer(scenario, without, properties).run()
        yield result
        if without and result.violation is not None:
            return


def search(scenario: Scenario) -> Result:
    """Search one scenario of `searches.py` for what it is about."""
    wanted = PROPERTIES if scenario.violated is None else frozenset({scenario.violated})
    return Explorer(scenario, frozenset(), wanted).run()


def reflections() -> Iterator[tuple[str, Result]]:
    """A reflected ticket: first with none of the six checks against it, then with each alone, which is named."""
    wanted = frozenset({"authentication"})
    for kept in _KEPT:
        yield kept, Explorer(OUTSIDE_REFLECTION, REFLECTION_CHECKS - {kept}, wanted).run()
