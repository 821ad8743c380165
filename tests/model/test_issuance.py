"""The checks of issuance and of the table find what they are there for: each planted fault, and nothing without one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alts_model import check, issuance
from alts_model.primitives import ed25519_public
from alts_model.recovery import FAULTS, FAULTY, WORLDS, Issuance, rotation_holds
from alts_model.stores import TICKET_LIFE
from alts_model.tables import CLIENT
from tools.gen_requirements import load

ALONE, TOGETHER = WORLDS


@pytest.mark.req("ISSUE-1", "ISSUE-3", "REVOKE-3", "REVOKE-4")
@pytest.mark.parametrize("world", WORLDS, ids=["one issuer", "two issuers"])
def test_no_crash_loses_a_certificate_or_gives_an_id_twice(world: dict[str, str]) -> None:
    states, path = Issuance(world).search()
    assert path == []
    assert states > 5000


@pytest.mark.req("ISSUE-1", "ISSUE-3", "REVOKE-3", "REVOKE-4")
@pytest.mark.parametrize("faults", FAULTY, ids=[", ".join(sorted(faults)) for faults in FAULTY])
def test_each_broken_promise_is_seen(faults: frozenset[str]) -> None:
    assert faults <= set(FAULTS)
    paths = [Issuance(world, faults).search()[1] for world in WORLDS]
    assert any(paths)
    assert all(not path or path[-1].startswith("=> ") for path in paths)


def test_every_fault_is_planted() -> None:
    assert frozenset[str]().union(*FAULTY) == set(FAULTS)


@pytest.mark.req("REVOKE-3")
@pytest.mark.parametrize(
    ("world", "faults", "broken"),
    [
        (ALONE, {"request before row"}, "two certificates have one revocation ID"),
        (TOGETHER, {"grant before row"}, "two certificates have one revocation ID"),
        (TOGETHER, {"any range"}, "two certificates have one revocation ID"),
        (ALONE, {"no row", "no memory of proofs"}, "one key has two certificates"),
        (ALONE, {"no row"}, ""),
    ],
)
def test_what_must_never_be(world: dict[str, str], faults: set[str], broken: str) -> None:
    _, path = Issuance(world, frozenset(faults)).search(in_the_end=False)
    assert path[-1:] == ([f"=> {broken}"] if broken else [])


@pytest.mark.req("ISSUE-8", "ISSUE-9", "CRED-5", "CRED-6")
def test_rotation_leaves_no_gap_within_the_outage_that_its_lifetime_allows() -> None:
    looked, findings = rotation_holds()
    assert (findings, looked > 1000) == ([], True)


@pytest.mark.req("ISSUE-8", "ISSUE-9")
@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ({"lifetime": issuance.ROTATION}, "no certificate in force"),
        ({"rotation": 2 * issuance.ROTATION}, "no certificate in force"),
        ({"rotation": issuance.ROTATION * 3 // 2, "outage": 0}, "a certificate that was not rotated"),
        ({"overlap": 0}, "a ticket that no key opens"),
        ({"overlap": TICKET_LIFE // 3}, "a ticket that no key opens"),
        ({"outage": 7}, "no certificate in force"),
    ],
)
def test_other_times_leave_one(fault: dict[str, int], finding: str) -> None:
    _, findings = rotation_holds(**fault)
    assert finding in findings[0]


@pytest.mark.req("ISSUE-8", "REVOKE-2")
@pytest.mark.parametrize("jump", [301, issuance.ROTATION, 400 * issuance.ROTATION])
def test_a_clock_that_was_ahead_delays_no_rotation(jump: int) -> None:
    cluster = issuance.ClusterModel()
    cluster.rotate(jump)
    cluster.schedule("one", "w", jump)
    assert cluster.due(0)
    with pytest.raises(issuance.Declined, match="UNAVAILABLE"):
        cluster.schedule("two", "w", 0)
    cluster.rotate(0)
    assert [cluster.due(now) for now in (-300, 0, issuance.ROTATION - 1, issuance.ROTATION)] == [False] * 3 + [True]
    assert cluster.workloads["one"] == ("w", -300, issuance.BASE_LIFETIME)


@pytest.mark.req("CRED-6", "REVOKE-5")
def test_a_stopped_workload_has_no_certificate_left() -> None:
    cluster = issuance.ClusterModel()
    for now in (0, issuance.ROTATION, 2 * issuance.ROTATION, 2 * issuance.ROTATION + 60):
        cluster.rotate(now)
        if not now:
            cluster.schedule("one", "w", now)
            cluster.schedule("two", "w", now)
    assert len(cluster.ends["one"]) == 4
    later = cluster.copy()
    cluster.stop("one", 2 * issuance.ROTATION + 120)
    assert cluster.revoked == {("one", number) for number in range(4)}
    later.stop("one", 2 * issuance.ROTATION + 300)
    assert later.revoked == {("one", number) for number in range(1, 4)}, "one has expired, whatever clock is asked"
    assert set(cluster.workloads) == set(later.workloads) == {"two"}


@pytest.mark.req("TRUST-6", "HS-9", "HS-12", "TRADE-5")
def test_a_row_that_carries_payload_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check.payload_is_protected().findings == ()
    (early,) = (row for row in CLIENT if (row.state, row.input) == ("OPEN", "send"))
    for row, finding in (
        (replace(early, state="WAIT_SERVER_FINISHED"), "client: payload in WAIT_SERVER_FINISHED"),
        (replace(early, state="START", input="start"), "client: payload in START"),
        (replace(early, state="START", guard=""), "client: send leads to OPEN unauthenticated"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(check, "CLIENT", (*CLIENT, row))
            assert finding in check.payload_is_protected().findings


def test_checks_name_requirements_that_exist() -> None:
    known = {item.id for item in load()[1]}
    named = {one for result in check.run_checks(check.repository()) for one in result.requirements}
    assert named <= known
    assert named >= {"TRUST-6", "ISSUE-1", "ISSUE-3", "ISSUE-8", "REVOKE-4"}


SEED = bytes(range(32))


def a_key(**changes: object) -> issuance.KeyText:
    usual = issuance.KeyText(
        2, "machines/a", "realm/ca", ed25519_public(SEED), ("X25519_STATIC_SHA256",), (), bytes(32)
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # by field


@pytest.mark.req("ISSUE-1", "ISSUE-2", "ISSUE-3")
def test_the_signing_service_names_its_caller_and_signs_one_certificate_for_a_proof() -> None:
    service = issuance.SigningModel(bytes(32))
    request = a_key().encode()
    asked = issuance.Asked(request, issuance.prove(SEED, request), 0, 0, 2 << 56 | 9)
    certificate = service.sign(asked, "realm/ca")
    assert service.sign(asked, "realm/ca") == certificate
    assert len(issuance.accept_answer(asked, "realm/ca", certificate)) == 32
    with pytest.raises(issuance.Declined, match="ALREADY_EXISTS"):
        service.sign(replace(asked, revocation_id=2 << 56 | 10), "realm/ca")
    with pytest.raises(issuance.Declined, match="UNAUTHENTICATED"):
        service.sign(asked, "realm/mallory")
    with pytest.raises(issuance.Declined, match="INTERNAL"):
        issuance.accept_answer(replace(asked, not_before=1), "realm/ca", certificate)
