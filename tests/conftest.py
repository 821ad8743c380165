"""What all tests share: the `req` marker and its record, and the Hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

from tests import requirement_evidence

_ROOT = Path(__file__).resolve().parent.parent

# `ci`: the same examples in every run. `dev`: new examples in every run; those that failed are kept and tried first.
# Neither has a deadline: tests make no timed assertions. HYPOTHESIS_PROFILE chooses one; CI=... means `ci`.
hypothesis.settings.register_profile("ci", derandomize=True, database=None, deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "dev",
    database=DirectoryBasedExampleDatabase(_ROOT / "build" / "hypothesis"),
    deadline=None,
    print_blob=True,
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_configure(config: pytest.Config) -> None:
    """Installs the requirement plugin."""
    requirement_evidence.register(config)
