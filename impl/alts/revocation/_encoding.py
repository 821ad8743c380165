"""A set of revocation IDs as bytes: the gaps between sorted IDs, in eight planes, each compressed (SPEC 13.3).

Where `n` of `N` issued IDs are revoked without a pattern, any encoding needs log2(N choose n) bits on average.
Gaps are nearly independent there, so that coding them one by one with their own frequencies comes within a few percent
of it; planes keep that to the byte-wise Huffman coding that every zlib has.
"""

from __future__ import annotations

import itertools
import operator
import sys
import zlib
from array import array
from typing import TYPE_CHECKING

from pyroaring import BitMap64, FrozenBitMap64

from .._errors import UsageError
from .._signed_file import FileDamaged
from .._trust import CATEGORY_SHIFT, Category

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._signed_file import Header

MAX_IDS = 1 << 26
"""IDs that one file holds at most: a verified file cannot make a machine use more than about 3 GB while it loads."""
_PLANES = 8
_SIZE_BYTES = 4
_STRATEGIES = (zlib.Z_HUFFMAN_ONLY, zlib.Z_FILTERED)
_FIRST, _LAST = min(Category), max(Category)


def collect(ids: Iterable[int]) -> BitMap64:
    """Return revocation IDs as a set.

    Raises:
        UsageError: one is no revocation ID (REVOKE-3), or there are too many for a file.
    """
    try:
        collected = BitMap64(ids)
    except (TypeError, ValueError, OverflowError):
        raise UsageError("a revocation ID is an integer of 64 bits") from None
    if len(collected) > MAX_IDS:
        raise UsageError(f"{len(collected)} revoked IDs, a file holds at most {MAX_IDS}")
    if collected and sum(count(collected)) != len(collected):
        raise UsageError(f"the top byte of a revocation ID is its category, {_FIRST} to {_LAST}")
    return collected


def count(ids: BitMap64 | FrozenBitMap64) -> tuple[int, int, int]:
    """Return how many IDs there are of category HUMAN, MACHINE and WORKLOAD."""
    human, machine, workload = (
        ids.range_cardinality(category << CATEGORY_SHIFT, category + 1 << CATEGORY_SHIFT) for category in Category
    )
    return human, machine, workload


def encode(ids: BitMap64) -> bytes:
    """Return the body of a revocation file.

    For each k from 0 to 7: u32be(size) and a zlib stream (RFC 1950) of that size, with byte k, counted from the least
    significant, of the gap before each ID, in ascending order of IDs. The first gap is counted from 0.
    """
    ascending = ids.to_array()
    gaps = array("Q", map(operator.sub, ascending, itertools.chain((0,), ascending)))
    if sys.byteorder == "big":
        gaps.byteswap()
    raw = gaps.tobytes()
    body = bytearray()
    for k in range(_PLANES):
        plane = min((_deflate(raw[k::_PLANES], strategy) for strategy in _STRATEGIES), key=len)
        body += len(plane).to_bytes(_SIZE_BYTES, "big") + plane
    return bytes(body)


def _deflate(data: bytes, strategy: int) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    return deflate.compress(data) + deflate.flush()


def decode(header: Header, body: bytes) -> FrozenBitMap64:
    """Return the set in a body whose digest has been verified.

    Raises:
        FileDamaged: what was signed is no set of revocation IDs, or not the set of the header's counts.
    """
    total = sum(header.counts)
    if total > MAX_IDS:
        raise FileDamaged(f"{total} IDs, a file holds at most {MAX_IDS}")
    raw = bytearray(_PLANES * total)
    position = 0
    for k in range(_PLANES):
        start = position + _SIZE_BYTES
        position = start + int.from_bytes(body[position:start], "big")
        raw[k::_PLANES] = _inflate(body[start:position], total)
    if position != len(body):
        raise FileDamaged("the planes do not fill the body")
    gaps = array("Q")
    gaps.frombytes(raw)
    if sys.byteorder == "big":
        gaps.byteswap()
    try:
        ids = FrozenBitMap64(array("Q", itertools.accumulate(gaps)))
    except OverflowError:
        raise FileDamaged("an ID has more than 64 bits") from None
    # a gap of 0 makes fewer IDs than gaps, and an ID without a category is in no count: both show here
    if count(ids) != header.counts:
        raise FileDamaged("the IDs are not the ones that the header counts")
    return ids


def _inflate(plane: bytes, size: int) -> bytes:
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(plane, size + 1)  # bounded: more than this is never made
    except zlib.error:
        raise FileDamaged("a plane is no zlib stream") from None
    if len(data) != size or not inflate.eof or inflate.unused_data:
        raise FileDamaged("a plane has not one byte for each ID")
    return data
