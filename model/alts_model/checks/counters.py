"""Record counters: no nonce twice under a key, and a stop at the limit (SPEC.md 8.2 to 8.4).

Counters are bit-vectors wide enough that nothing wraps unseen; M is 128 free bytes. `record_key` runs over them as it
stands. An AEAD key is the window of the counter that it is derived from: equal windows, equal keys, and no others.
(HMAC-SHA-256, cut to 128 bits, is taken not to collide.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations_with_replacement
from typing import Any, NamedTuple, cast

import z3

from alts_model import record
from alts_model.checks.execution import explore, rebound
from alts_model.checks.proving import Check, Example, Fault, Statement
from alts_model.checks.words import Counter, Octets, counter, octets
from alts_model.syntax import IMPLEMENTED_RECORD_PROTOCOLS
from alts_model.tables import FRAME_LIMIT, REKEY_INTERVAL, Role

ROLES: tuple[Role, Role] = ("client", "server")

Place = Callable[[Any, Role, Any], Any]
"""`record_key`: M, sender and frame number to counter, key and nonce."""


class Scheme(NamedTuple):
    """What SPEC.md 8 says of a record protocol: frames in a direction, and how many of them under one key."""

    frames: int
    frames_a_key: int


SCHEMES = {"ALTSRP_GCM_AES128_REKEY": Scheme(FRAME_LIMIT, REKEY_INTERVAL)}
"""Every record protocol that the model implements must have a row, else the check fails."""


class Where(NamedTuple):
    """A frame's counter, key (for which its window stands) and nonce, over bit-vectors."""

    counter: Octets
    key: Octets
    nonce: Octets


def _window(_kdf_key: Octets, window: Octets) -> Octets:
    return window


def symbolic(place: Place) -> Place:
    """`record_key`, or a faulty one that calls it, over bit-vectors."""
    names: dict[str, Any] = {"bytes": Octets, "_aead_key": _window, "RecordKey": Where}
    real: Any = rebound(record.record_key, **names)
    if place is record.record_key:
        return cast(Place, real)
    function: Any = place
    mine = {name: value for name, value in {**names, "record_key": real}.items() if name in function.__code__.co_names}
    return cast(Place, rebound(function, **mine))


def in_plain_python(place: Place, sender: Role, number: int) -> tuple[bytes, bytes] | None:
    """Key and nonce over bytes, with real HMAC; None where there is no such frame."""
    try:
        where = place(bytes(range(128)), sender, number)
    except (ValueError, OverflowError):
        return None
    return where.key, where.nonce


def _fresh(place: Place) -> Iterator[Statement]:
    bound, M = symbolic(place), octets("M", 128)
    one, other = counter("one"), counter("other")
    missing = [name for name in IMPLEMENTED_RECORD_PROTOCOLS if name not in SCHEMES]
    if missing:
        yield Statement(f"no row for {missing[0]}", z3.BoolVal(True), z3.BoolVal(True), lambda _: {})
    scheme = SCHEMES["ALTSRP_GCM_AES128_REKEY"]
    in_range = [z3.ULE(value.term, scheme.frames) for value in (one, other)]

    def run(sender: Role, other_sender: Role) -> tuple[Where, Where] | None:
        try:
            return bound(M, sender, one), bound(M, other_sender, other)
        except (ValueError, OverflowError):
            return None

    for sender, other_sender in combinations_with_replacement(ROLES, 2):
        different = one.term != other.term if sender == other_sender else z3.BoolVal(True)
        example = _pair(sender, other_sender, one, other)
        for path in explore(partial(run, sender, other_sender), in_range):
            beyond = z3.Or(one.term == scheme.frames, other.term == scheme.frames)
            if path.value is None:
                yield Statement("beyond the limit", path.condition, beyond, example)
                continue
            here, there = path.value
            again = z3.And(here.key.is_equal(there.key), here.nonce.is_equal(there.nonce))
            within = z3.And(z3.Not(beyond), z3.Implies(different, z3.Not(again)))
            yield Statement("a nonce under a key", path.condition, within, example)
            if sender == other_sender:
                per_key = scheme.frames_a_key
                epochs = z3.UDiv(one.term, per_key) == z3.UDiv(other.term, per_key)
                claim = here.key.is_equal(there.key) == epochs
                yield Statement("frames under a key", path.condition, claim, example)


def _pair(sender: Role, other_sender: Role, one: Counter, other: Counter) -> Callable[[Any], Example]:
    def example(model: Any) -> Example:
        numbers = [model.eval(value.term, model_completion=True).as_long() for value in (one, other)]
        return {"frame": (sender, numbers[0]), "other frame": (other_sender, numbers[1])}

    return example


def _fresh_violates(place: Place, example: Example) -> str | None:
    (sender, number), (other_sender, other_number) = example["frame"], example["other frame"]
    one, other = in_plain_python(place, sender, number), in_plain_python(place, other_sender, other_number)
    limit, per_key = SCHEMES["ALTSRP_GCM_AES128_REKEY"]
    for value, where in ((number, one), (other_number, other)):
        if (where is None) != (value >= limit):
            return f"frame number {value:#x} has {'no' if where is None else 'a'} nonce"
    if one is None or other is None:
        return None
    if one == other and (sender, number) != (other_sender, other_number):
        return "both have the same key and the same nonce"
    if sender == other_sender and (one[0] == other[0]) != (number // per_key == other_number // per_key):
        return f"both have the same key: {per_key} frames are the limit" if one[0] == other[0] else "the keys differ"
    return None


def record_key(M: Any, sender: Role, number: Any) -> Any:
    """The model's, under the name by which the faulty ones find it, in plain and in symbolic runs."""
    return record.record_key(M, sender, number)


def one_direction(M: Any, sender: Role, number: Any) -> Any:
    """A planted fault: the direction is not in the counter."""
    return record_key(M, "client", number)


def _four_bytes(M: Any, sender: Role, number: Any) -> Any:
    return record_key(M, sender, number % 4294967296)


def _wrapping(M: Any, sender: Role, number: Any) -> Any:
    return record_key(M, sender, number % 18446744073709551616)


def _late(M: Any, sender: Role, number: Any) -> Any:
    where = record_key(M, sender, number)
    return RecordKey(where.counter, _aead_key(M[0:32], where.counter[3:9]), where.nonce)


def _low_half(M: Any, sender: Role, number: Any) -> Any:
    where, low = record_key(M, sender, number), record_key(M, sender, number % 256)
    return RecordKey(where.counter, where.key, low.nonce)


_aead_key, RecordKey = record._aead_key, record.RecordKey

FRESH = Check(
    "record: a nonce once under a key",
    "two different frames under one M have different keys or different nonces; the key changes every 2^16 frames and "
    "nowhere else; there is no frame 2^64",
    "all numbers from 0 to 2^64, both senders, any M, bit-exact; per record protocol of the model: "
    + ", ".join(f"{name} (2^{scheme.frames.bit_length() - 1} frames)" for name, scheme in SCHEMES.items()),
    ("REC-4", "REC-6", "REC-8"),
    frozenset({"a nonce under a key", "frames under a key", "beyond the limit"}),
    cast(Place, record.record_key),
    (
        Fault("one direction", "the direction is not in the counter", cast(Place, one_direction)),
        Fault("four bytes", "only four bytes count", cast(Place, _four_bytes)),
        Fault("wrap-around", "after the last frame the counter begins again", cast(Place, _wrapping)),
        Fault("late key", "the key changes every 2^24 frames", cast(Place, _late)),
        Fault("short nonce", "the nonce has the lowest byte of the counter only", cast(Place, _low_half)),
    ),
    _fresh,
    _fresh_violates,
)
