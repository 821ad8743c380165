"""The searches about handshake ciphers, stolen and leaked keys, and resumption: found what must be, nothing else."""

from __future__ import annotations

import json
from functools import cache

import pytest

from alts_model import HYBRID, KCI, PFS, STATIC, cli
from alts_model.exploration import explore, reflections, search
from alts_model.explorer import Explorer
from alts_model.nodes import Result
from alts_model.properties import PROPERTIES
from alts_model.scenario import FRONTEND, Scenario
from alts_model.searches import (
    LATER,
    cipher_scenarios,
    early_secrecy_scenarios,
    later_scenarios,
    leak_scenarios,
    resumption_scenarios,
    scenarios_of,
)
from alts_model.weakening import CHECKS, REFLECTION_CHECKS

ALL = (*cipher_scenarios(), *early_secrecy_scenarios(), *resumption_scenarios())
COMPLETED = {"ClientCompletes", "ServerCompletes", "delivered"}


@cache
def searched(scenario: Scenario) -> Result:
    return search(scenario)


@cache
def reflected() -> dict[str, Result]:
    return dict(reflections())


def found(result: Result) -> str | None:
    return None if result.violation is None else result.violation.name


@pytest.mark.req("HS-1", "HS-10", "RES-2", "RES-3", "RES-4", "RES-5", "RES-6", "RES-7", "TRADE-1", "TRADE-2", "TRADE-4")
@pytest.mark.parametrize("scenario", ALL, ids=[scenario.name for scenario in ALL])
def test_each_scenario_says_what_is_found(scenario: Scenario) -> None:
    result = searched(scenario)
    assert found(result) == scenario.violated
    assert bool(result.trace) == (scenario.violated is not None)
    if scenario.violated is None:
        assert result.reached >= COMPLETED, "a silent search must not be a vacuous one"


def names(scenarios: tuple[Scenario, ...], violated: bool) -> set[str]:
    return {scenario.name for scenario in scenarios if (scenario.violated is not None) == violated}


@pytest.mark.req("HS-10", "TRADE-1", "TRADE-2", "TRADE-4")
def test_the_table_of_the_design() -> None:
    """Forward secrecy, key-compromise impersonation and the quantum computer: which cipher stands which."""
    fallen = {(scenario.ciphers, bool(scenario.stolen), scenario.leaked) for scenario in ALL if scenario.violated}
    assert {ciphers for ciphers, stolen, _ in fallen if stolen and len(ciphers) == 1} == {(STATIC,), (PFS,), (HYBRID,)}
    assert ((KCI, STATIC), True, ()) in fallen
    quantum = {ciphers for ciphers, _, leaked in fallen if leaked == ("static keys", "ephemerals")}
    assert quantum == {(STATIC,), (PFS,), (KCI,)}
    assert "STATIC, static keys leak" in names(cipher_scenarios(), True)
    assert {f"{name}, static keys leak" for name in ("PFS", "KCI", "MLKEM768_PFS")} <= names(cipher_scenarios(), False)
    assert names(leak_scenarios(), True) == {
        "resumption key of the server stolen",
        "resumption key of the client stolen",
        "STATIC resumed, resumption keys leak",
        "PFS, rotated keys leak, server-made tickets allowed",
    }


@pytest.mark.req("RES-7")
def test_a_replay_at_another_replica_is_answered_and_never_completes() -> None:
    shared, alone = resumption_scenarios()[:2]
    assert "answered twice" in searched(alone).reached
    assert "answered twice" not in searched(shared).reached
    for scenario in (shared, alone):
        assert searched(scenario).reached >= {"CLIENT_TICKET"}


@pytest.mark.req("RES-3", "RES-4", "RES-5")
def test_both_directions_are_reached() -> None:
    reached = set[str]().union(*(searched(scenario).reached for scenario in resumption_scenarios()[:2]))
    assert {"CLIENT_TICKET", "SERVER_TICKET"} <= reached


@pytest.mark.req("RES-2", "RES-3", "RES-6")
@pytest.mark.timeout(240)
def test_a_reflected_ticket_needs_all_six_checks_gone() -> None:
    results = dict(reflected())
    assert set(results) == {"", *REFLECTION_CHECKS}
    assert found(results.pop("")) == "authentication"
    assert {kept: found(result) for kept, result in results.items()} == dict.fromkeys(REFLECTION_CHECKS)


@pytest.mark.req("RES-2", "RES-3")
def test_the_reflection_is_told_step_by_step() -> None:
    trace = reflected()[""].trace
    assert any("ClientFinished[the authenticator, the ticket with salt(s1), a false ticket" in line for line in trace)
    assert any("SERVER_TICKET, the ticket with salt(s1)" in line for line in trace)
    assert trace[-1].startswith("=> violated: authentication: c2 completed with prod/frontend")


@pytest.mark.req("RES-7")
def test_separate_memories_without_marks_still_complete_once() -> None:
    """The maker's memory bounds answers; the holder's removal and the nonces bound completions."""
    (alone,) = scenarios_of(frozenset({"replicas, each with its own memory"}))
    completions = frozenset({"agreement", "injective agreement"})
    assert found(Explorer(alone, frozenset({"maker-marks"}), completions).run()) is None


@pytest.mark.req("REVOKE-6", "POLICY-2", "RES-8")
def test_what_changed_later_is_seen_when_its_check_is_gone() -> None:
    assert [scenario.later for scenario in later_scenarios()] == list(LATER)
    for what in LATER:
        *_, result = explore(without=frozenset({f"ticket-{what}"}))
        assert result.scenario == f"later: {what}"
        assert found(result) == "today's data"


@pytest.mark.req("HS-1", "HS-10", "TRADE-2")
def test_ephemerals_alone_authenticate_nobody() -> None:
    """Without the static-static result PFS falls to anybody, and the KCI variant to whoever has both ephemerals."""
    by_name = {scenario.name: scenario for scenario in cipher_scenarios()}
    gone = frozenset({"static-in-keys"})
    assert found(Explorer(by_name["PFS"], gone).run()) == "agreement"
    assert found(Explorer(by_name["KCI, ephemeral keys stolen"], gone).run()) == "agreement"
    assert found(Explorer(by_name["KCI"], gone, PROPERTIES).run()) is None


@pytest.mark.req("TRADE-1")
def test_a_representative_stands_only_for_sessions_whose_key_is_known() -> None:
    """With the victim's key stolen the attacker can play its peer's peer, and the honest run must still be there."""
    by_name = {scenario.name: scenario for scenario in cipher_scenarios()}
    assert searched(by_name["KCI, key of prod/backend stolen"]).reached >= COMPLETED
    assert FRONTEND in by_name["KCI, key of prod/backend stolen"].trusted


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    some = tuple(scenario for scenario in cipher_scenarios() if "leak" in scenario.name)
    monkeypatch.setattr(cli, "family", lambda _: some)
    assert cli.main(["explore", "--search", "ciphers"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("no attack within these bounds") == 3
    assert "as expected" in printed
    assert "proved" not in printed.lower()
    assert cli.main(["explore", "--search", "resumption", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["result"] == "attack" for run in runs] == [scenario.violated is not None for scenario in some]
    assert cli.main(["explore", "--search", "ciphers", "--without", "policy"]) == 2
    monkeypatch.setattr(cli, "search", lambda scenario: Result(scenario.name, (), reached=set()))
    assert cli.main(["explore", "--search", "ciphers"]) == 3
    monkeypatch.setattr(cli, "search", lambda scenario: Result(scenario.name, (), reached=COMPLETED))
    assert cli.main(["explore", "--search", "ciphers"]) == 1


def test_every_check_says_where_it_is_looked_for() -> None:
    named = frozenset(check.scenario for check in CHECKS.values()) - {""}
    assert {scenario.name for scenario in scenarios_of(named)} == named
