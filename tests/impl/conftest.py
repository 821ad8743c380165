"""Fixtures of the tests of `alts`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alts.realm import RealmDirectory
from tests.impl.realm_tools import RANDOM, issue


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("realms") / "realm"
    realm = RealmDirectory.create(path, name="tests", random=RANDOM.randbytes)
    issue(realm, "web")
    issue(realm, "db")
    return path


@pytest.fixture
def directory(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "realm"))
