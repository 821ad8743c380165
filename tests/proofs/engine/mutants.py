"""Protocols of a few lines, and random changes to them: one identifier for another, a check or a step left out."""

from __future__ import annotations

import re
from random import Random

_CRYPTO = """
free c: channel.
free s, t: bitstring [private].
const A, B: bitstring.
fun senc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; sdec(senc(m, k), k) = m.
fun pk(bitstring): bitstring.
fun aenc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; adec(aenc(m, pk(k)), k) = m.
fun sign(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; check(sign(m, k), pk(k)) = m.
fun mac(bitstring, bitstring): bitstring.
event Begin(bitstring, bitstring).
event End(bitstring, bitstring).
event Answer(bitstring, bitstring).
event Done(bitstring, bitstring).
query attacker(s). query attacker(t).
query x: bitstring, y: bitstring; inj-event(End(x, y)) ==> inj-event(Begin(x, y)).
query x: bitstring, y: bitstring; inj-event(Done(x, y)) ==> inj-event(Answer(x, y)).
query x: bitstring, y: bitstring; event(Done(x, y)) && event(End(x, y)) ==> event(Begin(x, y)) || x = y.
"""

TEMPLATES = (
    # Public keys and two nonces.
    """
let Initiator(sa: bitstring, pa: bitstring, pb: bitstring) =
  in(c, px: bitstring); new na: bitstring; event Begin(pa, px); out(c, aenc((na, pa), px)); in(c, m: bitstring);
  let (=na, nb: bitstring, =px) = adec(m, sa) in event Done(pa, px); out(c, aenc(nb, px));
  if px = pb then out(c, senc(s, nb)).
let Responder(sb: bitstring, pb: bitstring, pa: bitstring) =
  in(c, m: bitstring); let (na: bitstring, px: bitstring) = adec(m, sb) in new nb: bitstring; event Answer(px, pb);
  out(c, aenc((na, nb, pb), px)); in(c, n: bitstring); let x = adec(n, sb) in
  if x = nb then event End(px, pb); if px = pa then out(c, senc(t, na)).
process new sa: bitstring; new sb: bitstring; let pa = pk(sa) in let pb = pk(sb) in out(c, (pa, pb));
  ( (!Initiator(sa, pa, pb)) | (!Responder(sb, pb, pa)) )
""",
    # A shared key, nonces both ways, a session key.
    """
process new k: bitstring;
  ( !( new na: bitstring; out(c, (A, na)); in(c, (nb: bitstring, m: bitstring));
       let (kab: bitstring, =A, =na) = sdec(m, k) in event Done(kab, na); event Begin(kab, nb);
       out(c, mac((nb, B), kab)); out(c, senc(s, kab)) )
  | !( in(c, (x: bitstring, na: bitstring)); new kab: bitstring; new nb: bitstring; event Answer(kab, na);
       out(c, (nb, senc((kab, x, na), k))); in(c, m: bitstring);
       if m = mac((nb, B), kab) then event End(kab, nb); out(c, senc(t, kab)) ) )
""",
    # Signed Diffie-Hellman.
    """
const g: bitstring.
fun exp(bitstring, bitstring): bitstring.
equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).
process new sa: bitstring; new sb: bitstring; out(c, (pk(sa), pk(sb)));
  ( !( new x: bitstring; let gx = exp(g, x) in out(c, (gx, pk(sa))); in(c, (gy: bitstring, m: bitstring));
       let (=gx, =gy, =A) = check(m, pk(sb)) in let k = exp(gy, x) in event Done(gx, k); event Begin(gx, k);
       out(c, sign((gy, gx, B), sa)); out(c, senc(s, k)) )
  | !( in(c, (gx: bitstring, px: bitstring)); new y: bitstring; let gy = exp(g, y) in let k = exp(gx, y) in
       event Answer(gx, k); out(c, (gy, sign((gx, gy, A), sb))); in(c, m: bitstring);
       let (=gy, =gx, =B) = check(m, px) in
       if px = pk(sa) then event End(gx, k); out(c, senc(t, k)) ) )
""",
    # A server with a table of keys; a leak in a later phase.
    """
table keys(bitstring, bitstring).
process new ka: bitstring; new kb: bitstring; insert keys(A, ka); insert keys(B, kb);
  ( !( in(c, (x: bitstring, n: bitstring, y: bitstring)); get keys(=x, kx) in get keys(=y, ky) in new k: bitstring;
       event Answer(k, n); out(c, (senc((y, k, n), kx), senc((x, k), ky))) )
  | !( new n: bitstring; out(c, (A, n, B)); in(c, (m: bitstring, ticket: bitstring));
       let (=B, k: bitstring, =n) = sdec(m, ka) in event Done(k, n); event Begin(k, A); out(c, (ticket, senc(A, k)));
       out(c, senc(s, k)) )
  | !( in(c, (ticket: bitstring, shown: bitstring)); let (=A, k: bitstring) = sdec(ticket, kb) in
       let x = sdec(shown, k) in if x = A then event End(k, A); out(c, senc(t, k)) )
  | !( in(c, (x: bitstring, kx: bitstring)); if x <> A && x <> B then insert keys(x, kx) )
  | phase 1; out(c, ka) )
""",
)

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_FIXED = frozenset(
    [
        "process",
        "let",
        "in",
        "out",
        "new",
        "if",
        "then",
        "else",
        "event",
        "get",
        "insert",
        "phase",
        "table",
        "const",
        "fun",
        "equation",
        "forall",
        "free",
        "channel",
        "bitstring",
        "Begin",
        "End",
        "Answer",
        "Done",
        "Initiator",
        "Responder",
        "keys",
        "senc",
        "sdec",
        "aenc",
        "adec",
        "sign",
        "check",
        "mac",
        "exp",
        "pk",
        "c",
    ]
)
_STEPS = re.compile(r"if [^;|]*? then |event [A-Z][a-z]+\([^;]*?\); |out\(c, [^;|]*\); ")


def mutant(seed: int) -> str:
    """The script of a seed: a template with up to three changes."""
    random = Random(seed)
    text = random.choice(TEMPLATES)
    head, start, body = text.rpartition("process") if "Initiator" not in text else ("", "", text)
    for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3])):
        words = [match for match in _WORD.finditer(body) if match.group() not in _FIXED]
        steps = list(_STEPS.finditer(body))
        if steps and random.random() < 0.25:
            step = random.choice(steps)
            body = body[: step.start()] + body[step.end() :]
        else:
            word, other = random.choice(words), random.choice(words).group()
            body = body[: word.start()] + other + body[word.end() :]
    return _CRYPTO + head + start + body
