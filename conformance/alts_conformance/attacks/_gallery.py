"""The gallery: all attacks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from .._verdict import UsageError
from . import (
    downgrade,
    harvest,
    integrity_only,
    kci,
    mallory,
    recorded,
    reflection,
    replay,
    revoked,
    rotated,
    stolen_master,
    unknown_key_share,
)
from ._record import Attack, Trial

ATTACKS: tuple[Attack, ...] = (
    *kci.ATTACKS,
    *rotated.ATTACKS,
    *recorded.ATTACKS,
    *stolen_master.ATTACKS,
    *mallory.ATTACKS,
    *revoked.ATTACKS,
    *reflection.ATTACKS,
    *replay.ATTACKS,
    *downgrade.ATTACKS,
    *unknown_key_share.ATTACKS,
    *integrity_only.ATTACKS,
    *harvest.ATTACKS,
)


def select(names: Sequence[str]) -> list[tuple[Attack, Trial]]:
    """The trials that are named, as ``ATTACK`` or ``ATTACK/TRIAL``, in the gallery's order.

    Raises:
        UsageError: a name is none.
    """
    everything = [(attack, trial) for attack in ATTACKS for trial in attack.trials]
    chosen = [
        (attack, trial) for attack, trial in everything if {attack.name, f"{attack.name}/{trial.name}"} & set(names)
    ]
    known = {attack.name for attack in ATTACKS} | {f"{attack.name}/{trial.name}" for attack, trial in everything}
    if strangers := sorted(set(names) - known):
        raise UsageError(f"no attack is called {strangers[0]!r}; `alts attack list` shows them")
    return chosen
