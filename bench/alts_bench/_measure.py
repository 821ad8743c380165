"""Measuring by alternating loops: what is compared runs turn by turn in one process, so that drift hits both alike."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def samples(loops: Mapping[str, Callable[[], int]], seconds: float) -> dict[str, list[float]]:
    """Run the loops in turn for about `seconds` in all and return what one operation of each cost, visit by visit.

    Costs are seconds of processor time: what else runs on the machine still takes caches away, but no time.

    Args:
        loops: name to a function that does some operations and returns how many.
        seconds: time for all of them together; every loop runs at least three times.
    """
    costs: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop()  # warm up
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, costs.values())) < 3:
        for name, loop in loops.items():
            start = time.process_time()
            count = loop()
            costs[name].append((time.process_time() - start) / count)
    return costs


def alternate(loops: Mapping[str, Callable[[], int]], seconds: float) -> dict[str, float]:
    """Return the median of `samples` of each loop."""
    return {name: statistics.median(values) for name, values in samples(loops, seconds).items()}
