"""Small scripts with lemmas whose verdicts are known by hand, and scripts in which a lemma must not help."""

from __future__ import annotations

from tests.proofs.engine.known import Known

_HEAD = """
free c: channel.
free k1, k2, s: bitstring [private].
const one: bitstring.
fun senc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; sdec(senc(m, k), k) = m.
fun hash(bitstring): bitstring.
event A(bitstring).
event B(bitstring).
event C(bitstring).
event P(bitstring, bitstring).
event Q(bitstring, bitstring).
table kept(bitstring).
"""
# Two hops; only one may be resolved on the way to a fact, the other is the lemma's.
_HOPS = """
noselect x: bitstring; attacker(senc( *x, k1)) [ignoreAFewTimes].
noselect x: bitstring; attacker(senc( *x, k2)) [ignoreAFewTimes].
"""
_RELAY = """
process !(new n: bitstring; event A(n); out(c, senc(n, k1)))
  | !(in(c, z: bitstring); let x = sdec(z, k1) in event B(x); out(c, senc(x, k2)))
  | !(in(c, z: bitstring); let x = sdec(z, k2) in event C(x))
"""
_OPEN_RELAY = _RELAY + "  | !(in(c, x: bitstring); event B(x); out(c, senc(x, k2)))\n"
_LEMMA = "lemma x: bitstring; event(B(x)) ==> event(A(x))"
_QUERY = "query x: bitstring; event(C(x)) ==> event(A(x)).\n"
_EQUAL = "query x: bitstring, y: bitstring; event(Q(x, y)) ==> y = hash(x).\n"
_PAIRS = """
process !(new n: bitstring; out(c, senc((n, hash(n)), k1)))
  | !(in(c, z: bitstring); let (x: bitstring, y: bitstring) = sdec(z, k1) in event P(x, y); out(c, senc((x, y), k2)))
  | !(in(c, z: bitstring); let (x: bitstring, y: bitstring) = sdec(z, k2) in event Q(x, y))
"""
# What is kept is hashed and kept again.
_CHAIN = """
noselect x: bitstring; table(kept( *x)) [ignoreAFewTimes].
"""
_KEEPING = """
process !(new n: bitstring; event A(n); insert kept(n); out(c, senc(s, hash(hash(n)))))
  | !(get kept(x) in event B(x); event A(hash(x)); out(c, senc(s, x)); insert kept(hash(x)))
"""
_SECRET = "lemma x: bitstring; event(A(x)) && attacker(x)"


def _known(name: str, verdicts: str, text: str) -> Known:
    return Known(name, _HEAD + text, tuple(verdicts.split()))


LEMMAS = (
    _known("without the lemma the second hop is missing", "cannot_be_proved", _HOPS + _QUERY + _RELAY),
    _known("a lemma adds an event", "true true", _HOPS + f"{_LEMMA}.\n" + _QUERY + _RELAY),
    _known("a lemma in front of which the query stands", "true true", _HOPS + _QUERY + f"{_LEMMA}.\n" + _RELAY),
    _known("a false lemma adds nothing", "false false", _HOPS + f"{_LEMMA}.\n" + _QUERY + _OPEN_RELAY),
    _known(
        "a lemma that is not proved adds nothing",
        "cannot_be_proved cannot_be_proved",
        _HOPS.replace("k1)) [ignoreAFewTimes]", "k1))") + f"{_LEMMA}.\n" + _QUERY + _RELAY,
    ),
    _known(
        "a lemma that is never used",
        "true cannot_be_proved",
        _HOPS + f"{_LEMMA} [noneSat, noneVerif].\n" + _QUERY + _RELAY,
    ),
    _known(
        "a lemma that only drops clauses adds no event",
        "true cannot_be_proved",
        _HOPS + f"{_LEMMA} [discardSat, discardVerif].\n" + _QUERY + _RELAY,
    ),
    _known(
        "an injective lemma gives no execution",
        "true true false",
        _HOPS
        + "lemma x: bitstring; inj-event(B(x)) ==> inj-event(A(x)).\n"
        + _QUERY
        + "query x: bitstring; inj-event(C(x)) ==> inj-event(A(x)).\n"
        + """
process !(new n: bitstring; event A(n); out(c, senc(n, k1)); in(c, =senc(n, k1)); event B(n); out(c, senc(n, k2)))
  | !(new m: bitstring; in(c, z: bitstring); let x = sdec(z, k2) in event C(x))
""",
    ),
    _known(
        "a lemma with several ways to hold",
        "true true false",
        _HOPS
        + "lemma x: bitstring; event(B(x)) ==> event(A(x)) || x = one.\n"
        + "query x: bitstring; event(C(x)) ==> event(A(x)) || x = one.\n"
        + _QUERY
        + _RELAY
        + "  | (event B(one); out(c, senc(one, k2)))\n",
    ),
    _known("without the lemma the terms need not be equal", "cannot_be_proved", _HOPS + _EQUAL + _PAIRS),
    _known(
        "a lemma makes terms equal",
        "true true",
        _HOPS + "lemma x: bitstring, y: bitstring; event(P(x, y)) ==> y = hash(x).\n" + _EQUAL + _PAIRS,
    ),
    _known(
        "a lemma makes nothing equal that is not",
        "false false",
        _HOPS
        + "lemma x: bitstring, y: bitstring; event(P(x, y)) ==> y = hash(x).\n"
        + _EQUAL
        + _PAIRS.replace("senc((n, hash(n)), k1)", "senc((n, n), k1)"),
    ),
    _known(
        "without induction the chain has no end",
        "cannot_be_proved",
        _CHAIN + f"{_SECRET}.\n" + _KEEPING,
    ),
    _known(
        "by induction over the chain",
        "true true",
        _CHAIN + f"{_SECRET} [induction].\n" + "query attacker(s).\n" + _KEEPING,
    ),
    _known(
        "by induction, as a setting",
        "true true",
        "set inductionLemmas = true.\n" + _CHAIN + f"{_SECRET}.\n" + "query attacker(s).\n" + _KEEPING,
    ),
    _known(
        "induction fails where the chain begins in the open",
        "false false",
        _CHAIN
        + f"{_SECRET} [induction].\n"
        + "query attacker(s).\n"
        + _KEEPING.replace("event A(n);", "event A(n); out(c, n);"),
    ),
    _known(
        "induction fails at a later link",
        "false false",
        _CHAIN
        + f"{_SECRET} [induction].\n"
        + "query attacker(s).\n"
        + _KEEPING.replace("insert kept(hash(x))", "insert kept(hash(x)); out(c, hash(hash(x)))"),
    ),
    _known(
        "a fact does not prove itself",
        "false false",
        """
lemma x: bitstring; event(A(x)) && attacker(x); event(A(x)) ==> event(B(x)) [induction].
process new n: bitstring; event A(n); out(c, n)
""",
    ),
    _known(
        "two lemmas do not prove each other",
        "false false",
        """
lemma x: bitstring; event(A(x)) ==> event(B(x)); event(A(x)) ==> event(C(x)) && event(B(x)) [induction].
process new n: bitstring; event A(n)
""",
    ),
    _known(
        "what the attacker has does not prove itself",
        "false",
        """
lemma x: bitstring; attacker(senc(x, k1)) ==> event(A(x)) [induction].
process new n: bitstring; out(c, senc(n, k1))
""",
    ),
    _known(
        "an event does not make its terms equal by induction",
        "false",
        """
lemma x: bitstring, y: bitstring; event(P(x, y)) ==> y = hash(x) [induction, fullSat].
process new n: bitstring; event P(n, n)
""",
    ),
    _known(
        "what rests on a lemma of the group that fails, fails",
        "false false",
        _HOPS
        + "lemma x: bitstring; event(B(x)) ==> event(A(x)); event(C(x)) ==> event(A(x)) [induction, fullSat].\n"
        + _OPEN_RELAY,
    ),
    _known(
        "an event does not come before itself",
        "false",
        """
lemma x: bitstring; event(A(hash(x))) ==> event(A(x)) [induction].
process !(in(c, x: bitstring); event A(hash(hash(x))))
""",
    ),
    _known(
        "what is public proves nothing by induction",
        "false",
        "lemma attacker(hash(one)) [induction].\nprocess 0",
    ),
    _known(
        "a lemma and an assumption of secrecy do not prove each other",
        "cannot_be_proved cannot_be_proved",
        """
not attacker(k1).
lemma attacker(k1) [induction].
query attacker(s).
process out(c, k1); out(c, senc(s, k1))
""",
    ),
    _known(
        "one lemma of a group fails, and what rests on it",
        "false false true",
        _CHAIN
        + """
lemma x: bitstring;
  event(B(x)) ==> event(A(x)); event(B(x)) && attacker(x); event(C(x)) ==> event(A(x)) [maxSubset, induction].
"""
        + _KEEPING.replace("event B(x)", "event B(hash(x)); out(c, hash(x)); event B(x)"),
    ),
)
