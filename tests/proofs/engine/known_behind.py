"""Small scripts about what stands behind the arrow: inequalities under equations, injective events in disjunctions."""

from __future__ import annotations

from tests.proofs.engine.known import known

_DH = """
        const g: bitstring.
        fun exp(bitstring, bitstring): bitstring.
        equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).
        event Pair(bitstring, bitstring).
"""
_INVERSE = """
        fun inv(bitstring): bitstring.
        equation forall x: bitstring; inv(inv(x)) = x.
        event Pair(bitstring, bitstring).
"""

BEHIND = (
    known(
        "one term written in two ways does not differ from itself",
        "false false true true",
        _DH
        + """
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> exp(exp(g, x), y) <> exp(exp(g, y), x).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> hash(exp(exp(g, x), y)) <> hash(exp(exp(g, y), x)).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> exp(exp(g, x), y) <> exp(exp(g, y), y).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> exp(g, x) <> y.
        process new a: bitstring; new b: bitstring; event Pair(a, b)""",
    ),
    known(
        "nor where the attacker chooses it",
        "false true true",
        _DH
        + """
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> exp(exp(g, x), y) <> exp(exp(g, y), x).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> exp(x, y) <> exp(y, x).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> exp(g, x) <> exp(g, y).
        process in(c, (x: bitstring, y: bitstring)); if x <> y then event Pair(x, y)""",
    ),
    known(
        "terms that a process tells apart differ",
        "true false true",
        _DH
        + """
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> x <> y.
        query x: bitstring, y: bitstring; event(Pair(y, x)) ==> exp(g, x) <> y.
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> exp(x, g) <> exp(y, g).
        process new a: bitstring; new b: bitstring; in(c, z: bitstring);
          if exp(exp(g, a), b) <> z then event Pair(exp(exp(g, b), a), z); event Pair(exp(g, z), z)""",
    ),
    known(
        "an inverse of an inverse",
        "false false false true",
        _INVERSE
        + """
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> x <> inv(y).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> y <> inv(x).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> inv(inv(x)) <> x.
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> inv(inv(x)) <> y.
        process new a: bitstring; event Pair(a, inv(a))""",
    ),
    known(
        "an inverse is one term, so that what differs has different ones",
        "true",
        _INVERSE
        + """
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> inv(x) <> inv(y).
        process new a: bitstring; out(c, a); in(c, y: bitstring); if y <> a then event Pair(a, y)""",
    ),
    known(
        "an injective event beside a disjunction is one",
        "false true",
        """
        event A(). event B(). event C(). event D().
        query inj-event(A()) ==> inj-event(B()) && (event(C()) || event(D())).
        query inj-event(A()) ==> (inj-event(B()) && event(C())) || (inj-event(B()) && event(D())).
        process event B(); out(c, c); ((event C(); event A()) | (event D(); event A()))""",
    ),
    known(
        "and beside a comparison",
        "false false true",
        """
        event C(bitstring). event D(bitstring).
        query x: bitstring; inj-event(End(x)) ==> inj-event(Begin(x)) && (event(C(x)) || event(D(x))).
        query x: bitstring, y: bitstring; inj-event(End(x)) ==> inj-event(Begin(x)) && (x = y || event(C(x))).
        query x: bitstring; inj-event(C(x)) ==> inj-event(Begin(x)) && (x = s || event(C(x))).
        process !(new x: bitstring; event Begin(x); out(c, x);
            (in(c, =x); event C(x); event End(x)) | (in(c, =x); event D(x); event End(x)))""",
    ),
)

# Choices that cannot make the query hold, which nobody runs: no verdict, and never "true".
UNDECIDED = (
    known(
        "a name for one way to write a term",
        "cannot_be_proved cannot_be_proved",
        _DH
        + """
        query x: bitstring, y: bitstring, z: bitstring, w: bitstring;
          event(Pair(x, y)) && event(End(w)) ==> z = exp(exp(g, y), x) && w <> z.
        lemma x: bitstring, y: bitstring, z: bitstring, w: bitstring;
          event(Pair(x, y)) && event(End(w)) ==> z = exp(exp(g, y), x) && w <> z.
        process new a: bitstring; new b: bitstring; event Pair(a, b); event End(exp(exp(g, a), b))""",
    ),
    known(
        "a variable that an equation makes stand for a term not in normal form",
        "cannot_be_proved cannot_be_proved",
        _INVERSE
        + """
        query x: bitstring, u: bitstring; event(End(u)) ==> event(Begin(inv(x))) && x <> u.
        query x: bitstring, u: bitstring; event(End(u)) ==> u = inv(x) && x <> inv(u).
        process new a: bitstring; event Begin(inv(a)); event End(a)""",
    ),
)

# ProVerif 2.05 says "true" twice, and "false" to the third, which means the same: any x is e(d(x, y), y).
APART = (
    known(
        "one execution and two, in front",
        "false false false",
        """
        fun e(bitstring, bitstring): bitstring.
        fun d(bitstring, bitstring): bitstring.
        equation forall x: bitstring, y: bitstring; d(e(x, y), y) = x.
        equation forall x: bitstring, y: bitstring; e(d(x, y), y) = x.
        query x: bitstring, y: bitstring, z: bitstring;
          inj-event(End(e(x, y))) && inj-event(Begin(y)) ==> inj-event(End(z)).
        query x: bitstring, y: bitstring; inj-event(End(e(x, y))) && inj-event(Begin(y)) ==> inj-event(End(e(x, y))).
        query x: bitstring, y: bitstring; inj-event(End(x)) && inj-event(Begin(y)) ==> inj-event(End(x)).
        process new r: bitstring; event End(r); ((event Begin(r)) | (new k: bitstring; event Begin(k)))""",
    ),
)
