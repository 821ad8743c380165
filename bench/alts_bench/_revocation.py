"""`alts bench revocation`: the file of revoked IDs against the entropy bound and the raw list (REVOKE-7).

IDs come from contiguous ranges, as a CRL service gives them to issuers, and are revoked independently of each other:
the case without a pattern, in which no file can be shorter on average than log2(issued choose revoked) bits.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import tempfile
import time
from array import array
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyroaring import BitMap64

from alts import Category
from alts.revocation import RevocationStore, compile_revocations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ISSUED = 40_000_000
SHARES = (0.01, 0.05)
_ROW = 16
"""Bytes of a row of the database, certificate digest cut to 8 and ID: several hundred megabytes in all (REVOKE-7)."""
_RANGES = ((Category.MACHINE, 4), (Category.WORKLOAD, 36))
"""Ranges of one size that issuers hold, by category."""
_SAMPLE = 20_000


def entropy_bound(issued: int, revoked: int) -> float:
    """Return log2(issued choose revoked) / 8: bytes that a set without a pattern needs."""
    logarithm = math.lgamma(issued + 1) - math.lgamma(revoked + 1) - math.lgamma(issued - revoked + 1)
    return logarithm / math.log(2) / 8


def _revoked(issued: int, share: float, seed: int) -> Iterator[int]:
    """Yield the revoked of the issued IDs, ascending: each with probability `share`, by way of geometric gaps."""
    draw, scale = random.Random(seed).random, 1 / math.log1p(-share)
    size = issued // sum(count for _, count in _RANGES)
    starts = [(category << 56) + (index << 32) for category, count in _RANGES for index in range(count)]
    position = -1
    while True:
        position += 1 + int(math.log(1.0 - draw()) * scale)
        if position >= size * len(starts):
            return
        yield starts[position // size] + position % size


def _asked(ids: Sequence[int], answer: bool, is_revoked: Callable[[int], bool | None]) -> Callable[[], int]:
    def run() -> int:
        for number in ids:
            if is_revoked(number) is not answer:
                raise RuntimeError("a wrong answer")
        return len(ids)

    return run


def _processor_time(loops: Mapping[str, Callable[[], int]], seconds: float) -> dict[str, float]:
    """Run the loops in turn and return the median processor time of one operation of each, in seconds.

    Not elapsed time as elsewhere: a lookup is so short that what else runs on the machine would decide.
    """
    costs: dict[str, list[float]] = {name: [] for name in loops}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, costs.values())) < 5:
        for name, loop in loops.items():
            start = time.process_time()
            count = loop()
            costs[name].append((time.process_time() - start) / count)
    return {name: statistics.median(values) for name, values in costs.items()}


def measure(seconds: float, issued: int = ISSUED) -> list[dict[str, float]]:
    """Return one row for each share of revoked IDs: sizes in bytes, elapsed seconds, lookups in processor time.

    Every answer that is timed is checked.

    Args:
        seconds: for the lookups of one row; building and loading take the time that they take, about 10 s for 40 M IDs.
        issued: IDs in all; a multiple of 40.
    """
    return [_row(seconds, issued, share) for share in SHARES]


def _row(seconds: float, issued: int, share: float) -> dict[str, float]:
    key = Ed25519PrivateKey.generate()
    pinned = [key.public_key().public_bytes_raw()]
    raw = array("Q", _revoked(issued, share, 1))
    now = int(time.time())
    start = time.perf_counter()
    data = compile_revocations(raw, key=key, sequence=1, issued_at=now)
    built = time.perf_counter() - start
    ids = BitMap64(raw)
    with tempfile.TemporaryDirectory() as directory:
        pushed, folder = Path(directory, "pushed"), Path(directory, "store")
        folder.mkdir(mode=0o700)
        pushed.write_bytes(data)
        os.chmod(pushed, 0o600)
        store = RevocationStore(folder, keys=pinned, clock=time.time)
        start = time.perf_counter()
        store.offer_file(pushed)
        accepted = time.perf_counter() - start
        start = time.perf_counter()
        store = RevocationStore(folder, keys=pinned, clock=time.time)
        loaded = time.perf_counter() - start
    r = random.Random(2)
    hits = r.sample(raw, min(_SAMPLE, len(raw)))
    near = (number + r.randrange(1, 99) for number in r.sample(raw, min(4 * _SAMPLE, len(raw))))
    misses = list(islice((number for number in near if number not in ids), _SAMPLE))
    costs = _processor_time(
        {
            "hit": _asked(hits, True, store.is_revoked),
            "miss": _asked(misses, False, store.is_revoked),
            "set": _asked(hits, True, ids.__contains__),
        },
        seconds,
    )
    bound = entropy_bound(issued, len(raw))
    return {
        "issued": issued,
        "revoked": len(raw),
        "database_bytes": issued * _ROW,
        "raw_list_bytes": len(raw) * raw.itemsize,
        "roaring_bytes": len(ids.serialize()),
        "entropy_bound_bytes": bound,
        "file_bytes": len(data),
        "file_over_bound": len(data) / bound,
        "raw_list_over_file": len(raw) * raw.itemsize / len(data),
        "build_seconds": built,
        "accept_seconds": accepted,
        "load_seconds": loaded,
        "lookup_hit_nanoseconds": costs["hit"] * 1e9,
        "lookup_miss_nanoseconds": costs["miss"] * 1e9,
        "bare_set_nanoseconds": costs["set"] * 1e9,
    }


def text(rows: Sequence[dict[str, float]]) -> str:
    """Return the rows for people."""
    lines = ["revocation file: IDs revoked without a pattern; every answer exact and checked"]
    for row in rows:
        megabytes = {name: value / 1e6 for name, value in row.items() if name.endswith("_bytes")}
        size, bound, own = megabytes["file_bytes"], megabytes["entropy_bound_bytes"], megabytes["roaring_bytes"]
        hit, miss, bare = (row[f"{name}_nanoseconds"] for name in ("lookup_hit", "lookup_miss", "bare_set"))
        build, accept, load = (row[f"{name}_seconds"] for name in ("build", "accept", "load"))
        rows_of = f"{row['issued'] / 1e6:g} M issued (rows: {megabytes['database_bytes']:.0f} MB)"
        lines += [
            f"  {rows_of}, {row['revoked']:.0f} revoked",
            f"    file {size:.3f} MB = {row['file_over_bound']:.3f} of the entropy bound ({bound:.3f} MB)",
            f"    raw list {megabytes['raw_list_bytes']:.2f} MB, the set library's own format {own:.3f} MB",
            f"    build {build:.2f} s, accept and store {accept:.2f} s, load at start {load:.2f} s",
            f"    lookup {hit:.0f} ns revoked, {miss:.0f} ns not (the same loop with the bare set: {bare:.0f} ns)",
        ]
    return "\n".join(lines)
