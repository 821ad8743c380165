"""The explorer: nothing within its bounds with every check in place, an attack for each visible check left out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alts_model.errors import Refused
from alts_model.exploration import explore
from alts_model.explorer import Explorer
from alts_model.messages import Claim, present
from alts_model.nodes import Move, Result
from alts_model.properties import PROPERTIES, Made, check_secrecy
from alts_model.scenario import BACKEND, FRONTEND, World, scenarios
from alts_model.terms import show
from alts_model.weakening import CHECKS, UNKNOWN_KEY_SHARE, WeakMachine

NOTHING: frozenset[str] = frozenset()
REACHED = {"ClientStarts", "ServerAccepts", "ClientCompletes", "ServerCompletes", "delivered"}

EXPECTED = {
    "target": "target",
    "category": "category",
    "nonces": "injective agreement",
    "client-nonce": "injective agreement",
    "server-nonce": "injective agreement",
    "record-direction": "payload origin",
    "record-counter": "payload replay",
    "holder-removes": "one use",
    "maker-marks": "one use",
    **{f"ticket-{what}": "today's data" for what in ("life", "authority", "policy", "revocation", "target")},
}
"""Check to the property that falls first without it; `agreement` if not named here."""


def last(results: Iterator[Result]) -> Result:
    return list(results)[-1]


@pytest.mark.req("HS-13", "HS-5", "HS-7", "HS-9", "REC-8", "POLICY-3", "REVOKE-6", "TRUST-1")
def test_no_attack_within_the_bounds_and_nothing_is_vacuous() -> None:
    for result in explore():
        assert (result.violation, result.trace) == (None, [])
        assert result.reached == REACHED
        assert result.states > 10_000
        assert result.transitions > result.states
        assert result.message_depth > 10


@pytest.mark.req("HS-5", "HS-7", "HS-9", "CRED-2", "CRED-4", "POLICY-3", "REVOKE-1", "REVOKE-6", "TRUST-2", "TRUST-3")
@pytest.mark.parametrize("name", [check.name for check in CHECKS.values() if check.visible])
def test_each_visible_check_left_out_gives_a_trace(name: str) -> None:
    result = last(explore(without=frozenset({name})))
    assert result.violation is not None
    assert result.violation.name == EXPECTED.get(name, "agreement")
    *steps, verdict = result.trace
    assert [step.split(".")[0] for step in steps] == [str(number) for number in range(1, len(steps) + 1)]
    assert verdict == f"=> violated: {result.violation.name}: {result.violation.text}"


@pytest.mark.req("HS-5")
@pytest.mark.parametrize("name", [check.name for check in CHECKS.values() if not check.visible])
def test_checks_said_to_be_invisible_are(name: str) -> None:
    assert CHECKS[name].note
    assert all(result.violation is None for result in explore(without=frozenset({name})))


@pytest.mark.req("HS-5")
def test_unknown_key_share_needs_both_bindings_gone() -> None:
    wanted = frozenset({"unknown key share"})
    found = last(explore(1, UNKNOWN_KEY_SHARE, wanted))
    assert found.violation is not None
    assert "prod/mallory" in found.violation.text
    for name in UNKNOWN_KEY_SHARE:
        assert all(result.violation is None for result in explore(1, frozenset({name}), wanted))


@pytest.mark.parametrize("name", ["policy", "client-finished", "server-nonce"])
def test_traces_are_minimal(name: str) -> None:
    """No step can be left out, and no attack with fewer deliveries exists (the search is breadth first)."""
    explorer = Explorer(scenarios(2)[0], frozenset({name}))
    reported: list[tuple[Move, ...]] = []
    shortest = explorer._shortest

    def spy(moves: tuple[Move, ...], property_name: str) -> tuple[Move, ...]:
        reported.append(shortest(moves, property_name))
        return reported[-1]

    explorer._shortest = spy  # type: ignore[method-assign]  # a spy on the real method
    violation = present(explorer.run().violation)
    (moves,) = reported
    for index in range(len(moves)):
        node = explorer._replay((*moves[:index], *moves[index + 1 :]))
        assert node is None or getattr(explorer._check(node), "name", None) != violation.name


def test_every_message_of_a_trace_can_be_derived() -> None:
    """`apply` refuses what the attacker cannot make: a replayed trace never cheats."""
    explorer = Explorer(scenarios(1)[0])
    root = explorer._root()
    secret = explorer.world.private_keys[FRONTEND]
    assert not root.knowledge.can(secret)
    seen = explorer._attacker.seen(root.locals, root.knowledge)
    (message, *_) = explorer._attacker.client_inits(secret, explorer.world.certificates[FRONTEND], BACKEND, seen)
    payload = explorer.machine.algebra.encode(message)
    assert explorer.apply(root, Move(1, (("client_init", payload),))) is None
    certificate = explorer.world.certificates[FRONTEND]
    (message, *_) = explorer._attacker.client_inits(explorer.world.attacker_nonce, certificate, BACKEND, seen)
    payload = explorer.machine.algebra.encode(message)
    assert explorer.apply(root, Move(1, (("client_init", payload),))) is not None


@pytest.mark.req("TRADE-1")
def test_a_stolen_key_is_seen_as_key_compromise_impersonation() -> None:
    """TRADE-1: with the victim's key the attacker is anyone to it. The explorer can tell: its silence has a meaning."""
    explorer = Explorer(scenarios(1)[0])
    world = explorer.world
    explorer.world.knowledge = world.knowledge.extended([world.private_keys[FRONTEND]])
    result = explorer.run()
    assert result.violation is not None
    assert result.violation.name == "agreement"
    assert "c1 completed with prod/backend" in result.violation.text


def test_secrecy_is_checked() -> None:
    explorer = Explorer(scenarios(1)[0], properties=frozenset({"secrecy"}))
    world = explorer.world
    explorer.world.knowledge = world.knowledge.extended([world.private_keys[FRONTEND]])
    result = explorer.run()
    assert result.violation is not None
    assert result.violation.name == "secrecy"
    assert list(check_secrecy(explorer.plans, explorer._root().locals, world.knowledge, explorer.payloads)) == []


def test_the_arsenal_is_real() -> None:
    """Each piece of the arsenal is refused, and for its own reason."""
    world, machine = World(), WeakMachine()
    errors: dict[str, int] = {}
    accepted = []
    for certificate in world.certificates_of_the_attacker():
        try:
            machine.verifier.verify(certificate, world.trust(NOTHING), "server")
        except Refused as refusal:
            errors[refusal.error.name] = errors.get(refusal.error.name, 0) + 1
        else:
            accepted.append(world.labels.get(certificate, show(certificate)))
    assert set(errors) == {
        "BAD_CERTIFICATE",
        "UNKNOWN_AUTHORITY",
        "CERTIFICATE_EXPIRED",
        "BAD_SIGNATURE",
        "CATEGORY_REFUSED",
        "POLICY_DENIED",
        "CERTIFICATE_REVOKED",
    }
    honest = [text for text in accepted if not text.startswith("certificate of prod/mallory")]
    assert sorted(honest) == [
        "certificate of prod/backend",
        "certificate of prod/frontend",
        "renewed certificate of prod/frontend",
    ]


def test_bounds_must_be_sane() -> None:
    with pytest.raises(ValueError, match="at least one"):
        list(explore(0))
    assert len(CHECKS) >= 8
    assert len(PROPERTIES) == 11
    assert Made(0, Claim("ClientStarts", None)).claim.agreed is None
