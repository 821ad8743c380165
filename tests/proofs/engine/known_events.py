"""Small scripts about events in front of the arrow: they have happened as well, and terms may be unequal there."""

from __future__ import annotations

from tests.proofs.engine.known import known

EVENTS = (
    known(
        "an event is not later than itself",
        "true true false true true",
        """
        event Pair(bitstring, bitstring).
        query x: bitstring; event(End(x)) ==> event(End(x)).
        query x: bitstring; inj-event(End(x)) ==> inj-event(End(x)).
        query x: bitstring, y: bitstring; inj-event(End(x)) && inj-event(Begin(y)) ==> inj-event(End(x)).
        query x: bitstring, y: bitstring; inj-event(End(x)) ==> inj-event(End(y)).
        query x: bitstring, y: bitstring; inj-event(Pair(x, y)) ==> inj-event(Pair(y, x)).
        process !(in(c, x: bitstring); event End(x); event Begin(x))
          | !(new n: bitstring; event Pair(n, n); event Pair(n, n))""",
    ),
    known(
        "one execution is not two, in front and behind",
        "false false",
        """
        event Pair(bitstring, bitstring).
        query x: bitstring, y: bitstring; inj-event(Pair(x, y)) ==> inj-event(Pair(y, x)).
        query x: bitstring, y: bitstring; inj-event(Pair(x, y)) ==> inj-event(Pair(x, x)).
        process !(new n: bitstring; event Pair(n, n); new m: bitstring; event Pair(n, m))""",
    ),
    known(
        "unequal in front",
        "true false false true",
        """
        event Pair(bitstring, bitstring).
        query x: bitstring, y: bitstring; event(Pair(x, y)) && x <> y ==> event(Begin(x)).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> event(Begin(x)).
        query x: bitstring, y: bitstring; event(Pair(x, y)) && x <> y.
        query x: bitstring, y: bitstring; event(Pair(x, y)) && event(Pair(y, x)) && x <> y.
        process !(new n: bitstring; event Pair(n, n))
          | !(new n: bitstring; new m: bitstring; event Begin(n); event Pair(n, m))""",
    ),
)
