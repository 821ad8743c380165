"""The CRL service: ranges that never overlap, mappings that belong to their issuer, one file for one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts import Category
from alts.services import CrlCore, CrlSettings, Publication, RequestRefused, Status
from alts.services._crl import FIRST_ID, MAX_RANGE
from alts_schema.issuance_pb2 import Mapping, ReportRequest, RevokeRequest
from tests.impl.services_world import CA, CLUSTER, NOW, OPERATOR, World, compile_plainly, peer

if TYPE_CHECKING:
    from pathlib import Path


def mapping(number: int, category: Category = Category.MACHINE, digest: int = 1, **more: int) -> Mapping:
    return Mapping(
        revocation_id=category << 56 | number, certificate_digest=bytes([digest]) * 32, identity="m/a", **more
    )


def revoke(*numbers: int) -> RevokeRequest:
    return RevokeRequest(revocation_ids=numbers)


@pytest.mark.req("REVOKE-3")
@given(st.lists(st.tuples(st.sampled_from([CA, CLUSTER]), st.integers(1, MAX_RANGE)), max_size=20))
def test_no_id_is_granted_twice(wishes: list[tuple[str, int]]) -> None:
    crl = World().crl
    end = FIRST_ID
    for issuer, count in wishes:
        granted = crl.grant(count, peer(issuer))
        assert granted.first >= end
        assert granted.count == count
        end = granted.first + granted.count


@pytest.mark.req("REVOKE-3")
def test_only_issuers_get_ranges_and_no_more_than_there_is() -> None:
    crl = World().crl
    for caller, count in ((peer("corp/mallory", Category.HUMAN), 1), (peer(CA), 0), (peer(CA), MAX_RANGE + 1)):
        with pytest.raises(RequestRefused):
            crl.grant(count, caller)


@pytest.mark.req("REVOKE-4")
def test_a_mapping_is_reported_once_and_by_its_issuer() -> None:
    crl = World().crl
    first = crl.grant(10, peer(CA)).first
    other = crl.grant(10, peer(CLUSTER)).first
    report = ReportRequest(mappings=[mapping(first), mapping(first + 1, digest=2)])
    crl.report(report, peer(CA))
    crl.report(report, peer(CA))
    assert crl.mapping(Category.MACHINE << 56 | first) == ("m/a", bytes([1]) * 32)
    assert crl.find("m/a") == [Category.MACHINE << 56 | first, Category.MACHINE << 56 | first + 1]
    for wrong, status in (
        (mapping(first, digest=3), Status.ALREADY_EXISTS),
        (mapping(other), Status.PERMISSION_DENIED),
        (mapping(first + 10 + 10), Status.PERMISSION_DENIED),
        (mapping(1), Status.PERMISSION_DENIED),
        (Mapping(revocation_id=first, certificate_digest=bytes(32)), Status.PERMISSION_DENIED),
        (Mapping(revocation_id=Category.MACHINE << 56 | first), Status.INVALID_ARGUMENT),
        (mapping(first + 2, replaces=Category.MACHINE << 56 | other, revoke_at=NOW), Status.PERMISSION_DENIED),
    ):
        with pytest.raises(RequestRefused) as caught:
            crl.report(ReportRequest(mappings=[mapping(first + 5, digest=9), wrong]), peer(CA))
        assert caught.value.status is status
    assert crl.mapping(Category.MACHINE << 56 | first + 5) is None, "a refused report leaves nothing"


@pytest.mark.req("REVOKE-6", "REVOKE-7")
def test_revocation_is_for_operators_and_for_the_issuer_of_the_id() -> None:
    crl = World().crl
    first = crl.grant(10, peer(CA)).first
    number = Category.HUMAN << 56 | first
    for caller in (peer(CLUSTER), peer("corp/mallory", Category.HUMAN), peer("realm/olga")):
        with pytest.raises(RequestRefused) as caught:
            crl.revoke(revoke(number), caller)
        assert caught.value.status is Status.PERMISSION_DENIED
    with pytest.raises(RequestRefused):
        crl.revoke(revoke(9 << 56), peer(OPERATOR, Category.HUMAN))
    with pytest.raises(RequestRefused):
        crl.revoke(revoke(), peer(OPERATOR, Category.HUMAN))
    crl.revoke(revoke(number), peer(CA))
    crl.revoke(revoke(Category.MACHINE << 56 | 1), peer(OPERATOR, Category.HUMAN))
    assert World.revoked(crl.publish().content) == [number, Category.MACHINE << 56 | 1]


@pytest.mark.req("REVOKE-7")
def test_a_file_is_made_when_it_is_due_and_a_number_has_one_file() -> None:
    world = World()
    first = world.crl.publish()
    assert world.crl.publish() == first
    world.now += 3599
    assert world.crl.publish() == first
    world.now += 1
    second = world.crl.publish()
    assert second.sequence == first.sequence + 1
    world.crl.revoke(revoke(Category.MACHINE << 56 | 1), peer(OPERATOR))
    third = world.crl.publish()
    assert (third.sequence, world.crl.publish()) == (second.sequence + 1, third)
    assert world.crl.publish(force=True).sequence == third.sequence + 1


@pytest.mark.req("REVOKE-7")
def test_two_processes_on_one_database_never_give_a_number_to_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    one, two = (
        CrlCore(tmp_path / "crl.sqlite", world.clock, compile_plainly, CrlSettings((CA,), (OPERATOR,))) for _ in "ab"
    )
    first = one.publish()
    look, made = one.publication, []

    def meanwhile() -> Publication | None:
        """The other one publishes after the first has looked."""
        found = look()
        two.revoke(revoke(Category.MACHINE << 56 | 1), peer(OPERATOR))
        made.append(two.publish())
        return found

    monkeypatch.setattr(one, "publication", meanwhile)
    made.append(one.publish(force=True))
    assert [file.sequence for file in (first, *made)] == [1, 2, 3]
    assert World.revoked(made[1].content) == [Category.MACHINE << 56 | 1]
    for core in (one, two):
        core.close()


@pytest.mark.req("REVOKE-2", "REVOKE-4")
def test_a_replaced_certificate_is_revoked_when_its_time_has_come() -> None:
    world = World()
    first = world.crl.grant(10, peer(CA)).first
    old = Category.MACHINE << 56 | first
    later = mapping(first + 1, replaces=old, revoke_at=NOW + 500)
    world.crl.report(ReportRequest(mappings=[mapping(first), later]), peer(CA))
    assert not world.is_revoked(old)
    world.now += 499
    assert not world.is_revoked(old)
    world.now += 1
    assert world.is_revoked(old)
    world.now -= 1000
    assert world.crl.publish().sequence == 2, "a clock that goes back makes no new file"
    assert old in World.revoked(world.crl.publish(force=True).content), "and un-revokes nothing"


@pytest.mark.req("REVOKE-3", "REVOKE-7")
def test_everything_is_still_there_after_a_restart(tmp_path: Path) -> None:
    world = World()
    settings = CrlSettings((CA,), (OPERATOR,))

    def start() -> CrlCore:
        return CrlCore(tmp_path / "crl.sqlite", world.clock, compile_plainly, settings)

    crl = start()
    first = crl.grant(10, peer(CA))
    crl.report(ReportRequest(mappings=[mapping(first.first)]), peer(CA))
    crl.revoke(revoke(Category.MACHINE << 56 | first.first), peer(CA))
    published = crl.publish()
    crl.close()
    crl = start()
    assert crl.publication() == published == crl.publish()
    assert crl.grant(10, peer(CA)).first == first.first + 10
    assert crl.mapping(Category.MACHINE << 56 | first.first) is not None
    crl.close()
