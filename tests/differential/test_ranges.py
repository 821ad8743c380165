"""Ranges, mappings and what is revoked with them: the CRL service, model and implementation in lockstep."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts.services import CrlCore, CrlSettings, RequestRefused
from alts_model.issuance import FIRST_ID, Declined, RevocationModel
from alts_schema.issuance_pb2 import Mapping, ReportRequest
from tests.impl.services_world import CA, CLUSTER, compile_plainly, peer

CALLERS = st.sampled_from((CA, CA, CLUSTER, "corp/mallory"))
SIZES = st.sampled_from((0, 1, 2, 3, 1 << 20, (1 << 20) + 1))
CATEGORIES = st.sampled_from((2, 2, 2, 2, 2, 0, 1, 3, 4))
"""Mostly machines."""
FREE = tuple(FIRST_ID + number for number in range(6))


def ids(*numbers: int) -> st.SearchStrategy[int]:
    """Revocation IDs of some numbers."""
    return st.builds(lambda category, number: category << 56 | number, CATEGORIES, st.sampled_from(numbers))


GRANT = st.tuples(CALLERS, SIZES)
REPORT = st.tuples(
    CALLERS,
    ids(*FREE, *FREE, 1),
    st.sampled_from((bytes(32), bytes(32), bytes(32), b"x" * 32, bytes(31))),
    st.one_of(st.just(0), ids(*FREE), ids(0, 1, 2, 3, FIRST_ID - 1)),
    st.integers(0, 9),
)


def granted(core: CrlCore, count: int, caller: str) -> tuple[int, int]:
    """What the implementation grants: first, count."""
    given = core.grant(count, peer(caller))
    return given.first, given.count


def status(act: Callable[..., object], *arguments: object) -> object:
    """What comes of it: the answer, or how it was refused."""
    try:
        return act(*arguments)
    except RequestRefused as refusal:
        return refusal.status.name
    except Declined as declined:
        return declined.status


@pytest.mark.req("REVOKE-3", "REVOKE-4")
@given(st.lists(st.one_of(GRANT, REPORT, REPORT, REPORT), min_size=10, max_size=40))
def test_every_step_has_the_same_answer(
    steps: list[tuple[str, int] | tuple[str, int, bytes, int, int]],
) -> None:
    core = CrlCore(None, lambda: 0.0, compile_plainly, CrlSettings((CA, CLUSTER), ca=CA))
    model = RevocationModel((CA, CLUSTER), ca=CA)
    for step in ((CA, 2), (CLUSTER, 2), *steps):
        if len(step) == 2:
            caller, count = step
            assert status(granted, core, count, caller) == status(model.grant, caller, count)
            continue
        caller, number, digest, replaces, at = step
        mapping = Mapping(
            revocation_id=number, certificate_digest=digest, identity="m/a", replaces=replaces, revoke_at=at
        )
        request = ReportRequest(mappings=[mapping])
        assert status(core.report, request, peer(caller)) == status(model.report, caller, number, digest, replaces, at)
    assert set(core._store.rows("SELECT revocation_id, digest FROM mappings")) == set(model.mappings.items())
    assert set(core._store.rows("SELECT revocation_id, at FROM revoked")) == set(model.revoked.items())
    core.close()
