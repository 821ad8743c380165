"""The interpreter of honest runs: scheduling, connections, the environment, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from alts_proofs import SCRIPTS, Script, load_manifest
from alts_proofs.honest import Estate, HonestRun, Plan, PlanError, honest_run, is_fresh

pytestmark = pytest.mark.req("HS-13")

HEAD = """
free network: channel.
free environment: channel.
free inside: channel [private].
type key.
fun seal(bitstring, key): bitstring.
reduc forall m: bitstring, k: key; unseal(seal(m, k), k) = m.
fun pair(bitstring, bitstring): bitstring [data].
const ping: bitstring.
event Sent(bitstring).
event Got(bitstring).
event Odd().
table rows(bitstring, bitstring).
"""


def run(tmp_path: Path, process: str, *estates: Estate) -> HonestRun:
    """The honest run of a script of one file."""
    (tmp_path / "small.pv").write_text(HEAD + process, encoding="utf-8")
    return honest_run(Script("small.pv", "", (), (), 1.0, (), tmp_path), Plan(estates))


def events(found: HonestRun) -> list[str]:
    return [f"{one.event}({', '.join(map(str, one.args))}) by {one.by}" for one in found.events]


def test_messages_are_taken_in_order_by_the_one_peer(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        """
        let A() = new a: bitstring; out(network, pair(ping, a)); in(network, x: bitstring); event Got(x);
                  in(network, y: bitstring); event Got(y).
        let B() = in(network, pair(=ping, a)); new b: bitstring; new c: bitstring; out(network, b); out(network, c).
        process !B() | !A()
        """,
    )
    assert events(found) == ["Got(b(session1)) by (2,)", "Got(c(session1)) by (2,)"]
    assert [str(message.value) for message in found.messages] == [
        "pair(ping, a(session2))",
        "b(session1)",
        "c(session1)",
    ]
    assert found.failures == []


def test_message_that_a_process_cannot_use_is_left_to_another(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        """
        process new k: key; ( !(out(network, ping)) | !(out(network, seal(ping, k)))
          | !(in(network, x: bitstring); let y = unseal(x, k) in event Got(y)) )
        """,
    )
    assert events(found) == ["Got(ping) by (3,)"]


def test_environment_is_asked_once_for_each_process(tmp_path: Path) -> None:
    process = (
        "process !(new n: bitstring; !(in(environment, (name: bitstring, other: bitstring)); event Got((name, other))))"
    )
    estates = Estate({"name": "'one'", "other": "n@2"}), Estate({"name": "'two'", "other": "(ping, 'two')"})
    found = run(tmp_path, process, *estates)
    assert events(found) == ["Got((one, n(session2))) by (1, 1)", "Got((two, (ping, two 2))) by (2, 1)"]


def test_silent_estate_does_not_answer(tmp_path: Path) -> None:
    process = "process !(!(in(environment, name: bitstring); event Got(name)))"
    found = run(tmp_path, process, Estate({"name": "ping"}, frozenset({"name"})), Estate({"name": "ping"}))
    assert events(found) == ["Got(ping) by (2, 1)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing"),
        ("pair(ping", "parenthesis"),
        ("pair(ping)", "of 1 arguments"),
        ("nothing", "has no nothing"),
        ("ping ping", "no term"),
        ("ping!", "no term"),
    ],
)
def test_value_that_is_no_term_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        run(tmp_path, "process !(in(environment, name: bitstring))", Estate({"name": text}))


def test_question_that_the_plan_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"colour shall be at small.pv:\d+"):
        run(tmp_path, "process !(in(environment, colour: bitstring))", Estate({"name": "ping"}))


def test_private_channel_hands_each_message_to_one(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "process out(inside, ping) | out(inside, (ping, ping)) | (in(inside, (x: bitstring, y: bitstring)); "
        "event Got(x)) | (in(inside, (x: bitstring, y: bitstring)); event Odd()) "
        "| (in(inside, z: bitstring); event Sent(z))",
    )
    assert events(found) == ["Got(ping) by ()", "Sent(ping) by ()"]


def test_checks_that_fail_are_told(tmp_path: Path) -> None:
    found = run(tmp_path, "process new a: bitstring; if a = ping then event Odd() else event Got(a)")
    assert events(found) == ["Got(a) by ()"]
    assert found.failures == []
    found = run(tmp_path, "process new a: bitstring;\n if a = ping then event Odd()")
    assert len(found.failures) == 1
    assert "a check fails" in found.failures[0]


def test_rows_are_waited_for(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "process (get rows(=ping, x) in event Got(x)) | (new a: bitstring; insert rows(a, a); insert rows(ping, a)) "
        "| (get rows(=(ping, ping), y) in event Odd() else event Sent(ping))",
    )
    assert sorted(events(found)) == ["Got(a) by ()", "Sent(ping) by ()"]


def test_phases_come_one_after_the_other(tmp_path: Path) -> None:
    found = run(
        tmp_path, "process (phase 1; event Got(ping)) | event Sent(ping) | (in(inside, x: bitstring); event Odd())"
    )
    assert events(found) == ["Sent(ping) by ()", "Got(ping) by ()"]


def test_reconnection_reads_from_a_new_peer(tmp_path: Path) -> None:
    """With an answer of the environment a process begins a new connection."""
    found = run(
        tmp_path,
        """
        let A() = in(environment, name: bitstring); out(network, name); in(network, x: bitstring); event Got(x);
                  in(environment, again: bitstring); out(network, again); in(network, y: bitstring); event Got(y).
        let B() = in(network, m: bitstring); new b: bitstring; out(network, (m, b)).
        process !(!A() | !B() | !B())
        """,
        Estate({"name": "'first'", "again": "'second'"}),
    )
    assert events(found) == [
        "Got((first, b(session1, session2))) by (1, 1)",
        "Got((second, b_1(session1, session3))) by (1, 1)",
    ]
    assert [one.connection for one in found.events] == [1, 2]
    assert [str(one) for one in found.sent((1, 1), 2)] == ["second"]
    assert str(found.value((1, 1), 2, "again")) == "second"
    assert str(found.value((1, 1), 2, "name")) == "first"
    with pytest.raises(KeyError):
        found.value((1, 1), 1, "again")


def test_freshness() -> None:
    (script,) = load_manifest().select(["static_observer.pv"])
    found = honest_run(script, Plan(()))
    (client,) = found.happened("ClientCompletes")
    nonce = found.value(client.by, client.connection, "clientNonce")
    assert is_fresh(nonce, client.by)
    assert not is_fresh(nonce, (*client.by, 1))
    assert not is_fresh(found.value(client.by, client.connection, "certificate"), client.by)


def test_nothing_of_the_attackers_happens() -> None:
    """A process of corruption/ does not even begin, so that no theft is in an honest run."""
    (script,) = load_manifest().select(["static_key_theft.pv"])
    assert "corruption/dh_keys_stolen.pvl" in script.libraries
    text = (SCRIPTS / "corruption" / "dh_keys_stolen.pvl").read_text(encoding="utf-8")
    assert "event DhKeyStolen" in text
    found = honest_run(
        script,
        Plan((Estate({"category": "individual(machineKind)", "name": "'n'"}, frozenset({"target", "allowed"})),)),
    )
    assert found.events == []
    assert [str(message.value).partition("(")[0] for message in found.messages] == ["verificationKey", "signed"]
