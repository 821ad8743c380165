"""Random small scripts over one type: everything that the built-in prover reads, in odd combinations."""

from __future__ import annotations

from random import Random

_DECLARATIONS = """
free c: channel.
free d: channel [private].
free s, t: bitstring [private].
const one, two: bitstring.
fun senc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; sdec(senc(m, k), k) = m.
fun pk(bitstring): bitstring.
fun aenc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; adec(aenc(m, pk(k)), k) = m.
fun sign(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; check(sign(m, k), pk(k)) = m.
reduc forall m: bitstring, k: bitstring; message(sign(m, k)) = m.
fun hash(bitstring): bitstring.
fun box(bitstring, bitstring): bitstring [data].
fun kind(bitstring): bitstring
  reduc forall m: bitstring, k: bitstring; kind(senc(m, k)) = one
  otherwise forall m: bitstring, k: bitstring; kind(aenc(m, k)) = two
  otherwise forall m: bitstring; kind(m) = m.
fun first(bitstring, bitstring): bitstring
  reduc forall m: bitstring, x: bitstring or fail; first(m, x) = m
  otherwise forall x: bitstring; first(fail, x) = x.
fun same(bitstring, bitstring): bitstring
  reduc forall x: bitstring or fail; same(x, x) = one
  otherwise forall x: bitstring or fail, y: bitstring or fail; same(x, y) = two.
fun either(bitstring, bitstring, bitstring): bitstring
  reduc forall x: bitstring or fail, y: bitstring; either(x, y, x) = y
  otherwise forall x: bitstring, y: bitstring or fail, z: bitstring or fail; either(x, y, z) = x
  otherwise forall y: bitstring or fail; either(fail, y, y) = two
  otherwise forall y: bitstring, z: bitstring or fail; either(fail, y, z) = y.
table rows(bitstring, bitstring).
event P(bitstring, bitstring).
event Q(bitstring, bitstring).
event R(bitstring).
"""
_DIFFIE_HELLMAN = """
const g: bitstring.
fun exp(bitstring, bitstring): bitstring.
equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).
"""
_CIPHER = """
fun enc(bitstring, bitstring): bitstring.
fun dec(bitstring, bitstring): bitstring.
equation forall x: bitstring, y: bitstring; dec(enc(x, y), y) = x.
equation forall x: bitstring, y: bitstring; enc(dec(x, y), y) = x.
"""
_QUERIES = (
    "query attacker(s).",
    "query attacker(t).",
    "query x: bitstring, y: bitstring; event(Q(x, y)) ==> event(P(x, y)).",
    "query x: bitstring, y: bitstring; inj-event(Q(x, y)) ==> inj-event(P(x, y)).",
    "query x: bitstring, y: bitstring, z: bitstring; inj-event(Q(x, y)) ==> inj-event(P(x, z)).",
    "query x: bitstring, y: bitstring; event(Q(x, y)) ==> event(P(y, x)) || event(R(x)).",
    "query x: bitstring, y: bitstring; event(Q(x, y)) && attacker(x) ==> event(R(x)).",
    "query x: bitstring, y: bitstring; event(Q(x, y)) ==> (event(P(x, y)) && event(R(y))) || x = y.",
    "query x: bitstring; event(R(x)).",
    "query x: bitstring, y: bitstring; event(P(x, y)) && event(Q(x, y)).",
    "query x: bitstring, y: bitstring; inj-event(Q(x, y)) ==> inj-event(P(x, y)) || event(R(y)).",
    "query x: bitstring, y: bitstring; event(R(x)) && event(Q(x, y)) ==> x = y.",
    "query x: bitstring, y: bitstring; inj-event(Q(x, y)) ==> inj-event(Q(y, x)).",
    "query x: bitstring, y: bitstring; event(P(x, y)) && x <> y ==> event(R(x)).",
    "query x: bitstring, y: bitstring, z: bitstring; inj-event(P(x, y)) ==> inj-event(P(x, z)) && event(R(x)).",
)


class Writer:
    """Writes one script from a source of randomness."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.count = 0
        self.equations = random.random()
        self.phases = random.random() < 0.15

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def term(self, scope: list[str], depth: int = 2) -> str:
        random = self.random
        if depth == 0 or random.random() < 0.4:
            return random.choice(scope)
        a, b = self.term(scope, depth - 1), self.term(scope, depth - 1)
        if random.random() < 0.4:
            key = random.choice(["k", "sk", "one"])
            return random.choice([f"senc({a}, {key})", f"sign({a}, {key})", f"aenc({a}, pk({key}))"])
        makers = [f"senc({a}, {b})", f"aenc({a}, pk({b}))", f"aenc({a}, {b})", f"sign({a}, {b})", f"hash({a})"]
        makers += [f"({a}, {b})", f"pk({a})", f"box({a}, {b})"]
        if self.equations < 0.25:
            makers += [f"exp(g, {a})", f"exp({a}, {b})", f"exp(exp(g, {a}), {b})"]
        elif self.equations < 0.4:
            makers += [f"enc({a}, {b})", f"dec({a}, {b})"]
        return random.choice(makers)

    def opened(self, scope: list[str]) -> str:
        a, b = self.random.choice(scope[-4:]), self.random.choice(["k", "sk", *scope])
        openers = [f"sdec({a}, {b})", f"adec({a}, {b})", f"check({a}, {b})", f"check({a}, pk({b}))", f"message({a})", a]
        openers += [f"kind({a})", f"first(sdec({a}, {b}), {b})", f"(if {a} = {b} then {a} else message({b}))"]
        # These look at failures: both arguments may fail, one, or none.
        fallible = [a, f"sdec({a}, {b})", f"message({a})", f"check({b}, pk({a}))"]
        some = [self.random.choice(fallible) for _ in range(3)]
        openers += [f"same({some[0]}, {some[1]})", f"either({some[0]}, {some[1]}, {some[2]})"]
        return self.random.choice(openers)

    def pattern(self, scope: list[str], bound: list[str]) -> str:
        roll = self.random.random()
        if roll < 0.5:
            bound.append(self.name("x"))
            return f"{bound[-1]}: bitstring"
        if roll < 0.65:
            return f"={self.random.choice(scope)}"
        if roll < 0.9:
            return f"({self.pattern(scope, bound)}, {self.pattern(scope, bound)})"
        return f"box({self.pattern(scope, bound)}, {self.pattern(scope, bound)})"

    def condition(self, scope: list[str]) -> str:
        a, b = self.term(scope, 1), self.term(scope, 1)
        sign = self.random.choice(["=", "=", "<>"])
        if self.random.random() < 0.15:
            return f"{self.opened(scope)} {sign} {self.random.choice(['one', 'two', b])}"
        if self.random.random() < 0.2:
            return f"{a} {sign} {b} {self.random.choice(['&&', '||'])} {self.random.choice(scope)} = {b}"
        return f"{a} {sign} {b}"

    def process(self, scope: list[str], length: int) -> str:
        random = self.random
        if length == 0:
            return f"out(c, {random.choice(['senc(s, %s)', 'senc(t, hash(%s))', 'hash(%s)']) % random.choice(scope)})"
        bound: list[str] = []
        roll = random.random()

        def rest(more: list[str] | None = None) -> str:
            return self.process([*scope, *(more or [])], length - 1)

        if roll < 0.2:
            return f"out(c, {self.term(scope)}); {rest()}"
        if roll < 0.38:
            pattern = self.pattern(scope, bound)
            return f"in(c, {pattern}); {rest(bound)}"
        if roll < 0.56:
            # A comparison cannot stand alone there.
            pattern = self.pattern(scope, bound)
            while pattern.startswith("="):
                bound.clear()
                pattern = self.pattern(scope, bound)
            other = f" else {self.process(scope, 0)}" if random.random() < 0.25 else ""
            return f"let {pattern} = {self.opened(scope)} in ({rest(bound)}){other}"
        if roll < 0.66:
            other = f" else {self.process(scope, min(length - 1, 1))}" if random.random() < 0.4 else ""
            return f"if {self.condition(scope)} then ({rest()}){other}"
        if roll < 0.8:
            event = random.choice(["P", "P", "Q", "Q", "R"])
            args = self.term(scope, 1) if event == "R" else f"{self.term(scope, 0)}, {self.term(scope, 1)}"
            return f"event {event}({args}); {rest()}"
        if roll < 0.88:
            fresh = self.name("n")
            return f"new {fresh}: bitstring; {rest([fresh])}"
        if roll < 0.91:
            return f"insert rows({self.term(scope, 1)}, {self.term(scope, 1)}); {rest()}"
        if roll < 0.94:
            fresh = self.name("x")
            return f"get rows(={random.choice(scope)}, {fresh}) in {rest([fresh])}"
        if roll < 0.96:
            return f"out(d, {self.term(scope, 1)}); {rest()}"
        if roll < 0.98:
            fresh = self.name("x")
            return f"in(d, {fresh}: bitstring); {rest([fresh])}"
        if self.phases:
            return f"phase 1; {rest()}"
        return f"({rest()}) | ({rest()})"

    def script(self) -> str:
        random = self.random
        keys = ["k", "sk", "one"]
        parts = []
        for _ in range(random.choice([1, 2, 2, 3])):
            body = self.process([*keys, *(["g"] if self.equations < 0.25 else [])], random.choice([3, 4, 5, 6]))
            parts.append(f"(!{'(' + body + ')'})" if random.random() < 0.75 else f"({body})")
        text = _DECLARATIONS
        if self.equations < 0.25:
            text += _DIFFIE_HELLMAN
        elif self.equations < 0.4:
            text += _CIPHER
        if random.random() < 0.2:
            text += "not attacker(new k).\n"
        text += "\n".join(random.sample(_QUERIES, 4))
        main = " | ".join(parts)
        return f"{text}\nprocess new k: bitstring; new sk: bitstring; out(c, pk(sk)); ({main})\n"


def random_script(seed: int) -> str:
    """The script of a seed."""
    return Writer(Random(seed)).script()
