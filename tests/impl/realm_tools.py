"""Issuing into realm directories with a fixed clock and seeded randomness."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from alts import Category
from tests.impl.pair import NOW

if TYPE_CHECKING:
    from alts import Credential
    from alts.realm import RealmDirectory

RANDOM = random.Random(11)


def issue(realm: RealmDirectory, name: str, category: Category = Category.WORKLOAD, **options: Any) -> Credential:
    """Issue with a fixed clock and seeded randomness."""
    given: dict[str, Any] = {"clock": lambda: float(NOW), "random": RANDOM.randbytes, **options}
    identity = given.pop("identity", f"shop/{name}")
    return realm.issue(name, identity, category, **given)
