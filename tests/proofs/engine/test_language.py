"""The language: what is read, and what is refused, by name and line."""

from __future__ import annotations

import pytest

from alts_proofs.engine import ScriptError, Unsupported, elaborate, parse_text
from alts_proofs.engine import _core as core

pytestmark = pytest.mark.req("HS-13")

HEAD = "free c: channel.\nfun f(bitstring): bitstring.\nfun h(bitstring, bitstring): bitstring.\nevent E(bitstring).\n"


@pytest.mark.parametrize(
    ("declaration", "process", "message"),
    [
        ("", "out(c, choice[c, c])", "script.pv:6: choice"),
        ("", "in(c, x: nat)", "script.pv:6: natural numbers"),
        ("", "out(c, 3)", "script.pv:6: natural numbers"),
        ("axiom x: bitstring; event(E(x)).", "0", "script.pv:5: axiom"),
        ("restriction x: bitstring; event(E(x)).", "0", "script.pv:5: restriction"),
        ("pred p(bitstring).", "0", "script.pv:5: pred"),
        ("clauses forall x: bitstring; p(x).", "0", "script.pv:5: clauses"),
        ("", "sync 1", "script.pv:6: sync"),
        ("", "let x: bitstring suchthat p(x) in 0", "script.pv:6: let ... suchthat"),
        ("set keyCompromise = strict.", "0", "script.pv:5: set keyCompromise = strict"),
        ("set ignoreTypes = false.", "0", "script.pv:5: set ignoreTypes = false"),
        ("set unheardOf = true.", "0", "script.pv:5: set unheardOf"),
        ("equation forall x: bitstring; f(f(x)) = f(x).", "0", None),
        (
            "fun g(bitstring): bitstring [data]. equation forall x: bitstring; g(g(x)) = x.",
            "0",
            "the data constructor g",
        ),
        ("const a, b: bitstring. equation a = b.", "0", "the constant"),
        ("equation forall x: bitstring; f(x) = f(f(x)).", "0", None),
        (
            "equation forall x: bitstring, y: bitstring; h(x, y) = h(y, x).",
            "0",
            "script.pv:5: an equation that is neither Diffie-Hellman nor convergent",
        ),
        (
            "equation forall x: bitstring, y: bitstring, z: bitstring; h(h(x, y), z) = h(x, h(y, z)).",
            "0",
            "script.pv:5: an equation that is neither Diffie-Hellman nor convergent",
        ),
        ("fun kept(bitstring): bitstring [data, private].", "0", "script.pv:5: option private here"),
        ("type t. fun kept(t): bitstring [typeConverter, private].", "0", "script.pv:5: option private here"),
        (
            "const a, b: bitstring. equation f(a) = a. equation f(a) = b.",
            "0",
            "neither Diffie-Hellman nor convergent|equations that are not convergent",
        ),
        (
            "const a, b: bitstring. equation forall x: bitstring; h(a, x) = x; forall x: bitstring; h(x, b) = x.",
            "0",
            "script.pv:5: equations that are not convergent",
        ),
        (
            "const a, b: bitstring. equation forall x: bitstring; h(a, x) = a; forall x: bitstring; h(x, b) = x.",
            "0",
            None,
        ),
        (
            "const a, b: bitstring. equation forall x: bitstring; h(h(x, a), b) = x; forall x: bitstring; h(x, a) = x.",
            "0",
            "equations that are not convergent",
        ),
    ],
)
def test_refused_by_name_and_line(declaration: str, process: str, message: str | None) -> None:
    text = f"{HEAD}{declaration}\nprocess {process}"
    if message is None:
        elaborate(parse_text(text))
        return
    with pytest.raises(Unsupported, match=message.replace("(", r"\(").replace("...", r"\.\.\.")):
        elaborate(parse_text(text))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("noninterf k.", "script.pv:6: noninterf"),
        ("weaksecret k.", "script.pv:6: weaksecret"),
        ("query secret k.", "script.pv:6: query secret"),
        ("query x: bitstring; event(E(x)) ==> (event(E(x)) ==> event(E(x))).", "script.pv:6: nested correspondences"),
        ("query x: bitstring; event(E(x)) ==> attacker(x).", "script.pv:6: attacker behind ==>"),
        (
            "equation forall x: bitstring; f(f(x)) = x. query x: bitstring; event(E(x)) && x <> f(k).",
            "script.pv:6: an inequality of terms with equations in front of ==>",
        ),
    ],
)
def test_queries_refused_one_by_one(query: str, reason: str) -> None:
    model = elaborate(parse_text(f"{HEAD}free k: bitstring [private].\n{query}\nquery attacker(k).\nprocess 0"))
    first, second = model.queries
    assert first.unsupported is not None
    assert reason in first.unsupported
    assert second.unsupported is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("process out(c, d)", "script.pv:5: d is not declared"),
        ("process out(c, f(c, c))", "f takes 1 arguments, not 2"),
        ("process event F(c)", "event F of 1 arguments is not declared"),
        ("process insert t(c)", "table t of 1 columns is not declared"),
        ("process P(c)", "process P is not declared"),
        ("process in(c, f(x))", "f is no data constructor"),
        ("free c: channel.\nprocess 0", "c is declared twice"),
        ("reduc forall x: bitstring, y: bitstring; d(x) = y. process 0", "y occurs on the right only"),
        (
            "const a: bitstring. reduc forall x: bitstring; d(f(x)) = x; d(f(a)) = f(a). process 0",
            "d is not deterministic",
        ),
        ("reduc forall x: bitstring; d(f(x), c) = x. process 0", "script.pv:5: the name c in a rewrite rule"),
        ("reduc forall x: bitstring; d(f(x)) = f(c). process 0", "script.pv:5: the name c in a rewrite rule"),
        (
            "equation forall x: bitstring; f(f(x)) = c. process 0",
            "script.pv:5: the name c in a rewrite rule or equation",
        ),
        (
            "fun d(bitstring): bitstring reduc forall x: bitstring or fail; d(x) = f(x). process 0",
            "a variable that may fail inside a term",
        ),
        (
            "fun d(bitstring): bitstring reduc forall x: bitstring or fail; d(f(x)) = x. process 0",
            "a variable that may fail inside a term",
        ),
        (
            "query x: bitstring, y: bitstring; event(E(x)) && x = y ==> event(E(y)). process 0",
            "script.pv:5: an equality in front of ==>",
        ),
        ("query x: bitstring, y: bitstring; event(E(x)) && x = y. process 0", "an equality in front of ==>"),
        ("query x: bitstring; x = c ==> event(E(x)). process 0", "an equality in front of ==>"),
        ("not x: bitstring; event(E(x)). process 0", "script.pv:5: not takes attacker, mess or table"),
        ("not x: bitstring; x = c. process 0", "not takes attacker, mess or table"),
        ("query attacker(new n). process 0", "no process makes a name n"),
        ("expand Q(). process 0", "Q is not defined"),
        ("process out(c, c", "'\\)' expected"),
        ("process (* 0", "a comment without an end"),
        ("process out(c, $)", "unknown character"),
        ("free d: channel.", "no process"),
        ("process phase 2; phase 1; 0", "phase 1 does not come after phase 2"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        elaborate(parse_text(HEAD + text))


def test_bars_and_bangs_bind_as_in_proverif() -> None:
    """After ``;`` the rest of a parallel composition belongs to what is in front; after ``!`` it does not."""
    model = elaborate(parse_text(HEAD + "process new n: bitstring; out(c, n) | out(c, n)"))
    assert isinstance(model.process, core.New)
    assert isinstance(model.process.body, core.Par)
    model = elaborate(parse_text(HEAD + "process !out(c, c) | out(c, c)"))
    assert isinstance(model.process, core.Par)
    assert isinstance(model.process.parts[0], core.Repl)


def test_types_are_not_checked() -> None:
    """A comparison that ProVerif refuses, of a channel and a bitstring, is one of terms."""
    model = elaborate(parse_text(HEAD + "process in(c, x: bitstring); if x <> c then out(c, x)"))
    assert isinstance(model.process, core.In)
    assert isinstance(model.process.body, core.Test)
