"""The datacenter for a while, in each test run; `python -m tests.differential.datacenter` runs it at length."""

from __future__ import annotations

import pytest
from hypothesis import settings

from alts_model.messages import HUMAN, MACHINE, WORKLOAD
from alts_vectors._world import ISSUER
from tests.differential import datacenter
from tests.differential.replicas import MALLORY, POLICIES, allowed

REQUIREMENTS = (
    *("TRUST-1", "TRUST-2", "TRUST-3", "TRUST-5", "TRUST-7", "CRED-3", "CRED-5", "CRED-6", "ISSUE-9"),
    *("POLICY-2", "POLICY-3", "REVOKE-1", "REVOKE-6", "HS-4", "HS-9", "HS-10"),
    *("RES-3", "RES-4", "RES-5", "RES-6", "RES-7", "RES-8", "TRADE-2"),
)


@pytest.mark.req(*REQUIREMENTS)
@pytest.mark.timeout(600)
class TestDatacenter(datacenter.Datacenter.TestCase):  # type: ignore[misc, valid-type]  # made by Hypothesis
    """New steps in every run, unless the profile says otherwise."""

    settings = settings(max_examples=12, stateful_step_count=datacenter.STEPS_PER_RUN)


@pytest.mark.req("RES-7", "REVOKE-6")
@pytest.mark.timeout(300)
def test_a_run_of_steps_reaches_all_that_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    """The same steps in every run; each kind of outcome is among them."""
    done = datacenter.run(500, 2)
    assert done >= 500
    counts = datacenter.Datacenter.counts
    with capsys.disabled():
        print(f"\n{done} steps: {dict(counts.most_common())}", end="")
    assert min(counts[mode] for mode in ("full", "client ticket", "server ticket")) >= 20
    assert counts["replay answered in mode 1"]
    assert {"CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "POLICY_DENIED", "CATEGORY_REFUSED"} & set(counts)


@pytest.mark.req("POLICY-3")
def test_the_books_know_policies() -> None:
    """The judge's own reading of patterns."""
    assert allowed(POLICIES["production"], ISSUER, WORKLOAD, "test/backend")
    assert not allowed(POLICIES["production"], MALLORY, WORKLOAD, "test/backend")
    assert not allowed(POLICIES["production"], ISSUER, HUMAN, "test/backend")
    assert not allowed(POLICIES["production"], ISSUER, WORKLOAD, "test/machine/1")
    assert allowed(POLICIES["laboratory"], MALLORY, WORKLOAD, "test/backend")
    assert allowed(POLICIES["backend alone"], ISSUER, WORKLOAD, "test/backend")
    assert not allowed(POLICIES["backend alone"], "x/y/cluster-master", WORKLOAD, "test/backend")
    assert not any(allowed((), ISSUER, category, "test/backend") for category in (HUMAN, MACHINE, WORKLOAD))
