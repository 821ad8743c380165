"""Small scripts whose verdicts are known by hand. Each verdict stands in front of its query."""

from __future__ import annotations

from dataclasses import dataclass

_CRYPTO = """
free c: channel.
fun senc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; sdec(senc(m, k), k) = m.
fun mac(bitstring, bitstring): bitstring.
fun pk(bitstring): bitstring.
fun aenc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; adec(aenc(m, pk(k)), k) = m.
fun sign(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; check(sign(m, k), pk(k)) = m.
fun hash(bitstring): bitstring.
free s: bitstring [private].
event Begin(bitstring).
event End(bitstring).
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A script, and the verdicts of its queries in order."""

    name: str
    text: str
    verdicts: tuple[str, ...]


def known(name: str, verdicts: str, text: str, crypto: bool = True) -> Known:
    return Known(name, (_CRYPTO if crypto else "") + text, tuple(verdicts.split()))


KNOWN = (
    known("key kept", "true", "query attacker(s). process new k: bitstring; out(c, senc(s, k))"),
    known(
        "several executions in front",
        "false true true",
        """
        event Third(bitstring).
        query x: bitstring, y: bitstring; inj-event(End(x)) && inj-event(Third(y)) ==> inj-event(Begin(x)).
        query x: bitstring; inj-event(End(x)) && inj-event(Third(x)) ==> inj-event(Begin(x)).
        query x: bitstring, y: bitstring; inj-event(End(x)) && event(Third(y)) ==> inj-event(Begin(x)).
        process !(new n: bitstring; event Begin(n); event Third(n); event End(n))""",
    ),
    known(
        "one of several executions repeated",
        "false true",
        """
        event Third(bitstring).
        query x: bitstring; inj-event(End(x)) && inj-event(Third(x)) ==> inj-event(Begin(x)).
        query x: bitstring; inj-event(Third(x)) && event(End(x)) ==> inj-event(Begin(x)).
        process !(new n: bitstring; event Begin(n);
          ( out(c, n) | !(in(c, =n); event End(n)) | (in(c, =n); event Third(n)) ))""",
    ),
    known("key sent", "false", "query attacker(s). process new k: bitstring; out(c, senc(s, k)); out(c, k)"),
    known("key in a tuple", "false", "query attacker(s). process new k: bitstring; out(c, (senc(s, k), (k, k)))"),
    known("hash hides", "true", "query attacker(s). process out(c, hash(s))"),
    known(
        "private function",
        "true false",
        """
        fun own(bitstring): bitstring [private].
        query attacker(own(s)). query x: bitstring; attacker(own(x)).
        process in(c, x: bitstring); out(c, own((x, x)))""",
    ),
    known("public key", "true", "query attacker(s). process new k: bitstring; out(c, pk(k)); out(c, aenc(s, pk(k)))"),
    known(
        "any public key",
        "false",
        """
        query attacker(s).
        process new k: bitstring; out(c, pk(k)); in(c, p: bitstring); out(c, aenc(s, p))""",
    ),
    known(
        "signature",
        "true false",
        """
        query x: bitstring; event(End(x)) ==> event(Begin(x)).
        query x: bitstring; event(End(x)).
        process new k: bitstring; out(c, pk(k));
          ( !(in(c, x: bitstring); event Begin(x); out(c, sign(x, k)))
          | !(in(c, y: bitstring); let x = check(y, pk(k)) in event End(x)) )""",
    ),
    known(
        "signature not checked",
        "false",
        """
        query x: bitstring; event(End(x)) ==> event(Begin(x)).
        process new k: bitstring; out(c, pk(k));
          ( !(in(c, x: bitstring); event Begin(x); out(c, sign(x, k)))
          | !(in(c, (x: bitstring, y: bitstring)); event End(x)) )""",
    ),
    known(
        "replay breaks injectivity only",
        "false true",
        """
        query x: bitstring; inj-event(End(x)) ==> inj-event(Begin(x)).
        query x: bitstring; event(End(x)) ==> event(Begin(x)).
        process new k: bitstring;
          ( !(new n: bitstring; event Begin(n); out(c, (n, mac(n, k))))
          | !(in(c, (n: bitstring, m: bitstring)); if m = mac(n, k) then event End(n)) )""",
    ),
    known(
        "a nonce restores injectivity",
        "true true",
        """
        query x: bitstring; inj-event(End(x)) ==> inj-event(Begin(x)).
        query x: bitstring; event(End(x)) ==> event(Begin(x)).
        process new k: bitstring;
          ( !(in(c, n: bitstring); event Begin(n); out(c, mac(n, k)))
          | !(new n: bitstring; out(c, n); in(c, =mac(n, k)); event End(n)) )""",
    ),
    known(
        "one session answers once",
        "true",
        """
        event Start(bitstring). event Done(bitstring, bitstring).
        query x: bitstring, y: bitstring; inj-event(Done(x, y)) ==> inj-event(Start(x)).
        process new k: bitstring;
          ( !(new a: bitstring; event Start(a); in(c, n: bitstring); out(c, (a, mac((a, n), k))))
          | !(new n: bitstring; out(c, n); in(c, (a: bitstring, m: bitstring));
              if m = mac((a, n), k) then event Done(a, n)) )""",
    ),
    known(
        "conjunction and disjunction",
        "true false",
        """
        const attacked: bitstring.
        event Other(bitstring).
        query x: bitstring; event(End(x)) ==> (event(Begin(x)) && event(Other(x))) || attacked = x.
        query x: bitstring; event(End(x)) ==> event(Begin(x)) && event(Other(x)).
        process new k: bitstring;
          ( !(in(c, x: bitstring); event Begin(x); event Other(x); out(c, mac(x, k)))
          | out(c, mac(attacked, k))
          | !(in(c, (x: bitstring, m: bitstring)); if m = mac(x, k) then event End(x)) )""",
    ),
    known(
        "equality",
        "true false",
        """
        event Pair(bitstring, bitstring).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> x = hash(y).
        query x: bitstring, y: bitstring; event(Pair(x, y)) ==> x = y.
        process in(c, x: bitstring); event Pair(hash(x), x)""",
    ),
    known(
        "both events",
        "true false",
        """
        event Left(bitstring). event Right(bitstring).
        query x: bitstring; event(Left(x)) && event(Right(x)).
        query x: bitstring, y: bitstring; event(Left(x)) && event(Right(y)).
        process (new n: bitstring; event Left(n)) | (new n: bitstring; event Right(n))""",
    ),
    known(
        "Diffie-Hellman, passive",
        "true",
        """
        set attacker = passive.
        const g: bitstring.
        fun exp(bitstring, bitstring): bitstring.
        equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).
        query attacker(s).
        process
          ( (new a: bitstring; out(c, exp(g, a)); in(c, y: bitstring); out(c, senc(s, exp(y, a))))
          | (new b: bitstring; out(c, exp(g, b)); in(c, x: bitstring); out(c, senc(s, exp(x, b)))) )""",
    ),
    known(
        "Diffie-Hellman, man in the middle",
        "false",
        """
        const g: bitstring.
        fun exp(bitstring, bitstring): bitstring.
        equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).
        query attacker(s).
        process
          ( (new a: bitstring; out(c, exp(g, a)); in(c, y: bitstring); out(c, senc(s, exp(y, a))))
          | (new b: bitstring; out(c, exp(g, b)); in(c, x: bitstring)) )""",
    ),
    known(
        "Diffie-Hellman, both ends agree",
        "true false",
        """
        const g: bitstring.
        fun exp(bitstring, bitstring): bitstring.
        equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).
        query attacker(s).
        query x: bitstring; event(End(x)).
        process new a: bitstring; new b: bitstring;
          out(c, exp(g, a)); out(c, exp(g, b)); out(c, senc(s, exp(exp(g, a), b)));
          if exp(exp(g, a), b) = exp(exp(g, b), a) then event End(a) else out(c, s)""",
    ),
    known(
        "Diffie-Hellman, base on the right",
        "true false",
        """
        const base: bitstring.
        fun dh(bitstring, bitstring): bitstring.
        equation forall x: bitstring, y: bitstring; dh(x, dh(y, base)) = dh(y, dh(x, base)).
        query attacker(s).
        query x: bitstring; event(End(x)).
        process new a: bitstring; new b: bitstring;
          out(c, (dh(a, base), dh(b, base))); out(c, senc(s, dh(a, dh(b, base))));
          let x = sdec(senc(a, dh(a, dh(b, base))), dh(b, dh(a, base))) in event End(x)""",
    ),
    known(
        "a cipher without redundancy",
        "false true",
        """
        fun enc(bitstring, bitstring): bitstring.
        fun dec(bitstring, bitstring): bitstring.
        equation forall x: bitstring, y: bitstring; dec(enc(x, y), y) = x.
        equation forall x: bitstring, y: bitstring; enc(dec(x, y), y) = x.
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new k: bitstring; new l: bitstring; out(c, dec(s, k)); out(c, k); out(c, enc(t, l))""",
    ),
    known(
        "the first rule that applies",
        "false true true",
        """
        const one, two: bitstring.
        fun kind(bitstring): bitstring
          reduc forall m: bitstring, k: bitstring; kind(senc(m, k)) = one
          otherwise forall m: bitstring; kind(m) = two.
        free t, u: bitstring [private].
        query attacker(s). query attacker(t). query attacker(u).
        process new k: bitstring;
          ( (if kind(senc(k, k)) = one then out(c, s))
          | (if kind(senc(k, k)) = two then out(c, t))
          | (if kind(hash(k)) <> two then out(c, u)) )""",
    ),
    known(
        "failure is caught",
        "false true",
        """
        fun default(bitstring, bitstring): bitstring
          reduc forall x: bitstring, y: bitstring or fail; default(x, y) = x
          otherwise forall y: bitstring; default(fail, y) = y.
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new k: bitstring;
          out(c, default(sdec(hash(k), k), s)); out(c, default(sdec(senc(k, k), k), t))""",
    ),
    known(
        "failure stops",
        "true true false",
        """
        free t, u: bitstring [private].
        query attacker(s). query attacker(t). query attacker(u).
        process new k: bitstring;
          ( (if sdec(hash(k), k) = k then out(c, s) else out(c, t))
          | (let x = sdec(hash(k), k) in 0 else out(c, u)) )""",
    ),
    known(
        "else means different",
        "true false",
        """
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new k: bitstring; new l: bitstring;
          ((if k = k then 0 else out(c, s)) | (if k = l then 0 else out(c, t)))""",
    ),
    known(
        "a pattern that does not match",
        "true false",
        """
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new k: bitstring;
          ( (let (x: bitstring, =k) = (k, k) in 0 else out(c, s))
          | (let (x: bitstring, =k) = hash(k) in 0 else out(c, t)) )""",
    ),
    known(
        "tables",
        "true false",
        """
        table rows(bitstring, bitstring).
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new a: bitstring; new b: bitstring;
          ( (insert rows(a, b)) | (get rows(=b, x) in out(c, s)) | (get rows(=a, x) suchthat x = b in out(c, t)) )""",
    ),
    known(
        "tables, nothing there",
        "false",
        """
        table rows(bitstring).
        query attacker(s).
        process get rows(x) in 0 else out(c, s)""",
    ),
    known(
        "phases",
        "true false",
        """
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new k: bitstring; new l: bitstring;
          ( (in(c, =k); out(c, s)) | (phase 1; out(c, k)) | (out(c, senc(t, l)); phase 1; out(c, l)) )""",
    ),
    known(
        "phases in queries",
        "true false",
        """
        query attacker(s) phase 0. query attacker(s) phase 1.
        process new k: bitstring; out(c, senc(s, k)); phase 1; out(c, k)""",
    ),
    known(
        "a private channel",
        "true false",
        """
        free d: channel [private].
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process (out(d, t)) | (in(d, x: bitstring); out(c, (x, hash(s))))""",
    ),
    known(
        "a name for each session",
        "true",
        """
        query x: bitstring; event(End(x)).
        process !new k: bitstring; new l: bitstring; (out(c, k) | (in(c, =l); event End(l)))""",
    ),
    known(
        "sessions make different names",
        "false",
        """
        query attacker(s).
        free d: channel [private].
        process (!new k: bitstring; out(d, k))
          | (in(d, x: bitstring); in(d, y: bitstring); if x <> y then out(c, s))""",
    ),
    known(
        "secrecy assumption",
        "true",
        """
        not attacker(new k).
        query attacker(s).
        process new k: bitstring; out(c, senc(s, k))""",
    ),
    known(
        "macros",
        "true false",
        """
        free key: bitstring [private].
        letfun lock(x: bitstring) = new n: bitstring; senc((x, n), key).
        letfun open(x: bitstring) = let (y: bitstring, n: bitstring) = sdec(x, key) in y else hash(x).
        def Secret(name) { query attacker(name). }
        expand Secret(s).
        query x: bitstring; event(End(x)).
        let Locker(x: bitstring) = out(c, lock(x)).
        let Opener = in(c, x: bitstring); let y = open(x) in event End(y).
        process !Locker(s) | !Opener""",
    ),
    known(
        "names of queries",
        "true false",
        """
        query attacker(new k). query attacker(new l).
        process !new k: bitstring; new l: bitstring; out(c, senc(l, k)); out(c, l)""",
    ),
    known(
        "a comparison sees what is around its pattern",
        "true false",
        """
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new a: bitstring; let x = a in
          ( (in(c, (x: bitstring, =x)); out(c, s))
          | (in(c, x: bitstring); let (x: bitstring, =x) = (a, x) in out(c, t)) )""",
    ),
    known(
        "conditions",
        "false true",
        """
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process new k: bitstring; new l: bitstring;
          ( (if (k = l || k <> l) && not(k = l) then out(c, s))
          | (if not(k = k) || (k = l && k = k) then out(c, t)) )""",
    ),
    known(
        "a derivation that is no run",
        "cannot_be_proved false",
        """
        free d: channel [private].
        free t: bitstring [private].
        query attacker(s). query attacker(t).
        process (out(d, s)) | (out(d, t)) | (in(d, x: bitstring); in(d, =s); out(c, x))""",
    ),
    known(
        "a failure is no term",
        "false false true true",
        """
        const one, two: bitstring.
        free t, u, v: bitstring [private].
        fun bad(bitstring): bitstring reduc bad(one) = one.
        fun twice(bitstring, bitstring): bitstring
          reduc forall x: bitstring or fail; twice(x, x) = one
          otherwise forall x: bitstring or fail, y: bitstring or fail; twice(x, y) = two.
        query attacker(s). query attacker(t). query attacker(u). query attacker(v).
        process (in(c, m: bitstring); let z = twice(bad(two), m) in if z = two then out(c, s))
          | (in(c, m: bitstring); let z = twice(m, bad(two)) in if z = two then out(c, t))
          | (if twice(bad(two), bad(two)) = two then out(c, u))
          | (in(c, m: bitstring); if twice(m, m) = two then out(c, v))""",
    ),
    known(
        "all but one",
        "false",
        """
        const one: bitstring.
        fun own(bitstring): bitstring [private].
        query attacker(s).
        process (!(in(c, x: bitstring); if x <> one then out(c, own(x)))) | (out(c, own(one)))
          | (in(c, =own(one)); out(c, s))""",
    ),
)
