"""Random scripts with lemmas: loops through a table, so that induction matters."""

from __future__ import annotations

import re
from random import Random

from tests.proofs.engine.random_scripts import _DECLARATIONS

_FACTS = (
    "event(Q(x, y)) ==> event(P(x, y))",
    "event(Q(x, y)) ==> event(R(x))",
    "event(P(x, y)) ==> event(R(y))",
    "event(P(x, y)) ==> x = y",
    "event(P(x, y)) ==> x <> y",
    "event(P(x, y)) && event(P(x, z)) ==> y = z",
    "event(P(x, y)) && event(Q(x, z)) ==> event(R(z))",
    "event(P(x, y)) && attacker(x)",
    "event(P(x, y)) && attacker(y)",
    "event(R(x)) && attacker(x)",
    "event(R(x)) && attacker(hash(x))",
    "event(R(hash(x))) ==> event(R(x))",
    "event(Q(x, y)) ==> (event(P(x, y)) && event(R(y))) || x = y",
    "event(Q(x, y)) ==> event(P(x, z))",
    "attacker(x) && event(R(x)) ==> event(P(x, x))",
    "table(rows(x, y)) ==> event(P(x, y))",
    "attacker(senc(x, k)) ==> event(R(x))",
)
_OPTIONS = ("", " [induction]", " [induction]", " [fullSat]", " [maxSubset, induction]", " [induction, fullSat]")
_VARIABLES = "x: bitstring, y: bitstring, z: bitstring; "
_HINT = "noselect x: bitstring, y: bitstring; table(rows( *x, *y)) [ignoreAFewTimes].\n"
_LEMMA = re.compile(
    r"^lemma ((?:[a-z]+: bitstring,? ?)*; )?([^.\[]*?)(?: \[[A-Za-z, ]*\])?\.$", re.MULTILINE | re.DOTALL
)


def _events(random: Random, terms: list[str]) -> str:
    text = ""
    for _ in range(random.choice([0, 1, 1, 2])):
        event = random.choice("PQR")
        args = [random.choice(terms) for _ in range(1 if event == "R" else 2)]
        text += f"event {event}({', '.join(args)}); "
    return text


def _row(random: Random, terms: list[str]) -> str:
    return f"insert rows({random.choice(terms)}, {random.choice(terms)}); "


def random_lemmas(random: Random) -> str:
    """One script."""
    first = ["n", "k", "hash(n)"]
    sent = random.choice(["senc(n, k)", "hash(n)", "sign(n, sk)", "senc(s, n)"])
    parts = [f"!(new n: bitstring; {_events(random, first)}out(c, {sent}); {_row(random, ['n', 'hash(n)'])}0)"]
    for _ in range(random.choice([1, 1, 2])):
        terms = ["x", "y", "n", "hash(x)", "hash((x, n))", "senc(x, n)"]
        sent = random.choice(["senc(s, x)", "hash(x)", "senc(x, k)", "sign(x, sk)", "senc(n, x)"])
        more = random.choice([_row(random, terms), "", f"out(c, senc({random.choice(terms)}, k)); "])
        parts.append(
            f"!(get rows(x, y) in new n: bitstring; {_events(random, terms)}out(c, {sent}); "
            f"{_events(random, terms)}{more}0)"
        )
    terms = ["x", "hash(x)", "(x, x)", "senc(x, k)"]
    source = random.choice(
        ["let x = sdec(z, k) in ", "let x = check(z, pk(sk)) in ", "let x = z in get rows(=x, y) in "]
    )
    last = random.choice(["out(c, senc(hash(x), k))", "insert rows(hash(x), x)", "out(c, senc(s, x))", "out(c, x)"])
    parts.append(f"!(in(c, z: bitstring); {source}{_events(random, terms)}{last})")
    lemmas = [
        f"lemma {_VARIABLES}{'; '.join(random.sample(_FACTS, random.choice([1, 1, 2])))}{random.choice(_OPTIONS)}."
        for _ in range(random.choice([1, 2, 2]))
    ]
    queries = [f"query {_VARIABLES}{fact}." for fact in random.sample(_FACTS, 2)]
    hint = _HINT if random.random() < 0.7 else ""
    process = " | ".join(parts)
    asked = "\n".join([*lemmas, *queries, "query attacker(s)."])
    # A key that queries may name.
    head = _DECLARATIONS + "free k: bitstring [private].\n"
    return f"{head}{hint}{asked}\nprocess new sk: bitstring; out(c, pk(sk)); ({process})\n"


def as_queries(text: str) -> str:
    """The same script with its lemmas as queries, which help nothing."""
    return _LEMMA.sub(lambda found: f"query {found[1] or ''}{found[2]}.", text)
