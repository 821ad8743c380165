"""Negotiation: whose order decides, and what may run between two boundaries (SPEC.md 6.1, 6.2)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import z3

from alts_model import negotiation
from alts_model.checks.execution import (
    Members,
    Name,
    Number,
    Sized,
    Universe,
    explore,
    formula,
    number,
    rebound,
    rebound_class,
)
from alts_model.checks.proving import Check, Example, Fault, Statement
from alts_model.ciphers import STATIC
from alts_model.connection import Local, Party
from alts_model.errors import Refused
from alts_model.keying import Randomness
from alts_model.machine import Machine
from alts_model.messages import MODE_FULL, ClientInit, ServerInit
from alts_model.stores import Resumption
from alts_model.syntax import ENCRYPTING_RECORD_PROTOCOLS
from alts_model.trust import Trust, Verifier

Choose = Callable[[Any, Any, str], Any]
LIST_LIMIT = 16
"""Most entries of a list (SPEC.md 5.2)."""


# Whose order decides.


def _last(offered: Any, allowed: Container[Any], error: str) -> Any:
    return negotiation.choose(tuple(reversed(offered)), cast(Sequence[str], allowed), error)


def _obliging(offered: Any, allowed: Container[Any], error: str) -> Any:
    for name in offered:
        if name in allowed:
            return name
    return offered[0]


def _choice(choose: Choose) -> Iterator[Statement]:
    names = Universe("Name")
    length = z3.Int("length")
    offered = [names.name(f"offered {position}") for position in range(LIST_LIMIT)]
    allows = names.predicate("allowed")
    allowed = [allows(name).formula for name in offered]
    is_first = [
        z3.And(length > at, allowed[at], *(z3.Not(before) for before in allowed[:at])) for at in range(LIST_LIMIT)
    ]
    none = z3.And(*(z3.Implies(length > at, z3.Not(one)) for at, one in enumerate(allowed)))

    def example(model: Any) -> Example:
        given = [names.text(model, name) for name in offered[: model.eval(length, model_completion=True).as_long()]]
        terms = dict(zip(given, offered, strict=False))
        yes = [one for one in terms if z3.is_true(model.eval(allows(terms[one]).formula, model_completion=True))]
        return {"offered": tuple(given), "allowed": tuple(reversed(yes))}

    for path in explore(
        lambda: choose(Sized(offered, length), Members(allows), "NO_COMMON_HANDSHAKE_CIPHER"),
        (length >= 1, length <= LIST_LIMIT),
    ):
        if path.error is None:
            chosen = cast(Name, path.value)
            claim = z3.Or(*(z3.And(first, formula(chosen == offered[at])) for at, first in enumerate(is_first)))
            yield Statement("chosen", path.condition, claim, example)
        else:
            yield Statement("refused", path.condition, none, example)


def _choice_violates(choose: Choose, example: Example) -> str | None:
    offered, allowed = example["offered"], example["allowed"]
    common = [name for name in offered if name in allowed]
    try:
        chosen = choose(offered, allowed, "NO_COMMON_HANDSHAKE_CIPHER")
    except Refused:
        return f"refused, though {common[0]} is in both" if common else None
    if not common:
        return f"chose {chosen}, which is not allowed"
    return None if chosen == common[0] else f"chose {chosen}, not {common[0]}"


FIRST_COMMON = Check(
    "negotiation: first common name",
    "the choice is the first of the client's list that the server allows; none if there is none",
    f"client's lists of 1 to {LIST_LIMIT} names (all that SPEC.md 5.2 admits), any names, any set at the server",
    ("HS-4", "REC-1", "TRUST-7"),
    frozenset({"chosen", "refused"}),
    cast(Choose, negotiation.choose),
    (
        Fault("last", "the client's list is read from its end", _last),
        Fault("obliging", "nothing in common: the client's first is taken all the same", _obliging),
    ),
    _choice,
    _choice_violates,
)


# RPC versions.

InForce = Callable[[Any, Any], Any]


def _in_force(in_force: InForce) -> Iterator[Statement]:
    one, other = (
        tuple((number(f"{end}'s {which} major"), number(f"{end}'s {which} minor")) for which in ("max", "min"))
        for end in ("client", "server")
    )

    def at_most(left: tuple[Number, Number], right: tuple[Number, Number]) -> Any:
        major, minor = zip(left, right, strict=True)
        return z3.Or(
            major[0].term < major[1].term, z3.And(formula(major[0] == major[1]), formula(minor[0] <= minor[1]))
        )

    def example(model: Any) -> Example:
        def plain(versions: Any) -> Any:
            return tuple(
                tuple(model.eval(part.term, model_completion=True).as_long() for part in version)
                for version in versions
            )

        return {"client's max, min": plain(one), "server's max, min": plain(other)}

    given = (at_most(one[1], one[0]), at_most(other[1], other[0]))
    overlap = z3.And(at_most(one[1], other[0]), at_most(other[1], one[0]))
    for path in explore(lambda: in_force(one, other), given):
        if path.error is None:
            chosen = cast(tuple[Number, Number], path.value)
            both = [
                at_most(chosen, one[0]),
                at_most(chosen, other[0]),
                at_most(one[1], chosen),
                at_most(other[1], chosen),
            ]
            highest = z3.Or(*(z3.And(at_most(end[0], chosen), at_most(chosen, end[0])) for end in (one, other)))
            yield Statement("in force", path.condition, z3.And(overlap, highest, *both), example)
        else:
            yield Statement("no overlap", path.condition, z3.Not(overlap), example)


def _in_force_violates(in_force: InForce, example: Example) -> str | None:
    one, other = example["client's max, min"], example["server's max, min"]
    overlap = max(one[1], other[1]) <= min(one[0], other[0])
    try:
        chosen = in_force(one, other)
    except Refused:
        return "refused, though the ranges overlap" if overlap else None
    if not overlap:
        return f"{chosen} is in force, though the ranges do not overlap"
    return None if chosen == min(one[0], other[0]) else f"{chosen} is in force, not {min(one[0], other[0])}"


def _unasked(left: Any, right: Any) -> Any:
    return min(left[0], right[0])


def _minor_first(left: Any, right: Any) -> Any:
    turned = [tuple((minor, major) for major, minor in versions) for versions in (left, right)]
    minor, major = negotiation.rpc_version_in_force(*cast(Any, turned))
    return major, minor


RPC_VERSIONS: Check[InForce] = Check(
    "negotiation: RPC versions",
    "the smaller max is in force, lies in both ranges, and there is none only if the ranges do not overlap",
    "any versions, any ranges",
    ("HS-4",),
    frozenset({"in force", "no overlap"}),
    cast(InForce, negotiation.rpc_version_in_force),
    (
        Fault("unasked", "whether the ranges overlap is not asked", _unasked),
        Fault("minor first", "versions are compared by their minor number first", _minor_first),
    ),
    _in_force,
    _in_force_violates,
)


# What may run between two boundaries: the guards of both ends, as the machine has them.


_CHOOSE = cast(Choose, negotiation.choose)


@dataclass(frozen=True)
class Ends:
    """The machine's guards, with the rule on boundaries and the choice that they use."""

    machine: type[Machine[Any]] = Machine
    record_allowed: Callable[[Any, Any, Any], Any] = negotiation.record_allowed
    choose: Choose = _CHOOSE


class _Blank:
    """An algebra in which nothing is computed: cryptography plays no part in these guards."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.sent: Any = None

    def decode_client_init(self, _: Any) -> Any:
        return self.message

    def decode_server_init(self, _: Any) -> Any:
        return self.message

    def encode(self, message: Any) -> str:
        self.sent = message
        return "encoded"

    def share_fits(self, *_: Any) -> bool:
        return True

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_: None


def _view(boundary: Any) -> Any:
    end = {"category": 2, "identity": "prod/one", "not_after": 0, "revocation_id": 1, "handshake_ciphers": (STATIC,)}
    master = SimpleNamespace(**end, issuer="prod/ca", verification_key_id="key")
    return SimpleNamespace(**end, boundary=boundary, x25519_public_key="point", master=master)


class _Trusting(Verifier[Any]):
    """Certificates are no matter here: the peer is the one with this boundary."""

    def __init__(self, boundary: Any) -> None:
        self._boundary = boundary

    def verify(self, certificate: Any, trust: Any, peer_role: Any) -> Any:
        return _view(self._boundary)


_RPC = ((2, 1), (2, 1))
_TRUST: Trust[Any] = Trust({}, (), frozenset(), 0)


def _local(role: Any, own: Any, protocols: tuple[Any, ...]) -> Local[Any]:
    party: Party[Any] = Party(
        "certificate", _view(own), "key", _TRUST, (STATIC,), protocols, ("grpc",), _RPC, 16384, "nonce", Randomness()
    )
    return Local(role, "WAIT_CLIENT_INIT" if role == "server" else "WAIT_SERVER_INIT", party)


def _machine(ends: Ends, encrypting: Container[Any], message: Any, peer_boundary: Any) -> Machine[Any]:
    rule: Any = ends.record_allowed
    rule = rebound(rule, ENCRYPTING_RECORD_PROTOCOLS=encrypting)
    guards = ("_accept_client_init", "_accept_server_init")
    bound = rebound_class(ends.machine, guards, record_allowed=rule, choose=ends.choose)
    return bound(cast(Any, _Blank(message)), _Trusting(peer_boundary))


def _server(ends: Ends, encrypting: Any, offered: tuple[Any, ...], own: tuple[Any, ...], where: tuple[Any, Any]) -> Any:
    """The record protocol that a server chooses. Raises Refused."""
    message = ClientInit("nonce", "certificate", (STATIC,), offered, (), ("grpc",), _RPC, 16384)
    machine = _machine(ends, encrypting, message, where[0])
    machine._accept_client_init(_local("server", where[1], own), "payload", Resumption())
    return cast(Any, machine.algebra).sent.record_protocol


def _client(ends: Ends, encrypting: Any, offered: tuple[Any, ...], chosen: Any, where: tuple[Any, Any]) -> Any:
    """The record protocol that a client accepts. Raises Refused."""
    message: Any = ServerInit("nonce", MODE_FULL, "certificate", STATIC, chosen, "grpc", _RPC, 16384)
    machine = _machine(ends, encrypting, message, where[1])
    own = ClientInit("nonce", "certificate", (STATIC,), offered, (), ("grpc",), _RPC, 16384)
    local = replace(_local("client", where[0], offered), offered=own, client_init="payload")
    machine._accept_server_init(local, "payload", Resumption())
    return chosen


def _boundaries(ends: Ends) -> Iterator[Statement]:
    names, places = Universe("Protocol"), Universe("Boundary", "")
    encrypts = names.predicate("encrypts")
    offered = tuple(names.name(f"offered {position}") for position in range(3))
    own = tuple(names.name(f"allowed {position}") for position in range(3))
    where = places.name("client's boundary"), places.name("server's boundary")
    same = z3.And(formula(where[0] == where[1]), formula(where[0] != ""))

    def among(name: Name, others: Sequence[Name]) -> Any:
        return z3.Or(*(formula(name == other) for other in others))

    def good(name: Name) -> Any:
        return z3.Or(same, encrypts(name).formula)

    def example(model: Any) -> Example:
        texts = {names.text(model, name): name for name in (*offered, *own)}
        yes = [one for one in texts if z3.is_true(model.eval(encrypts(texts[one]).formula, model_completion=True))]
        return {
            "offered": tuple(names.text(model, name) for name in offered),
            "server's": tuple(names.text(model, name) for name in own),
            "encrypting": tuple(yes),
            "boundaries": tuple(places.text(model, place) or "none" for place in where),
        }

    able = [z3.And(among(name, own), good(name)) for name in offered]
    given = tuple(z3.Distinct(*(name.term for name in both)) for both in (offered, own))
    for path in explore(lambda: _server(ends, Members(encrypts), offered, own, where), given):
        if path.error is None:
            chosen = cast(Name, path.value)
            firsts = [
                z3.And(formula(chosen == name), able[at], *(z3.Not(before) for before in able[:at]))
                for at, name in enumerate(offered)
            ]
            yield Statement("server chooses", path.condition, z3.Or(*firsts), example)
        else:
            yield Statement("server refuses", path.condition, z3.Not(z3.Or(*able)), example)
    right = z3.And(among(own[0], offered), good(own[0]))
    for path in explore(lambda: _client(ends, Members(encrypts), offered, own[0], where), given):
        if path.error is None:
            yield Statement("client accepts", path.condition, right, example)
        else:
            yield Statement("client refuses", path.condition, z3.Not(right), example)


def _boundaries_violate(ends: Ends, example: Example) -> str | None:
    offered, own, encrypting = example["offered"], example["server's"], example["encrypting"]
    where = tuple(place.replace("none", "") for place in example["boundaries"])
    same = where[0] == where[1] != ""
    good = [name for name in offered if name in own and (same or name in encrypting)]
    try:
        chosen = _server(ends, encrypting, offered, own, (where[0], where[1]))
    except Refused as refusal:
        chosen = None
        if good:
            return f"the server refuses ({refusal}), though {good[0]} would do"
    if chosen is not None and not good:
        return f"the server chooses {chosen}, which may not run there"
    if good and chosen != good[0]:
        return f"the server chooses {chosen}, not {good[0]}"
    right = own[0] in offered and (same or own[0] in encrypting)
    try:
        _client(ends, encrypting, offered, own[0], (where[0], where[1]))
    except Refused as refusal:
        return f"the client refuses {own[0]} ({refusal})" if right else None
    return None if right else f"the client accepts {own[0]}, which may not run there"


def _no_place(name: Any, boundary: Any, other_boundary: Any) -> Any:
    return boundary == other_boundary or name in ENCRYPTING_RECORD_PROTOCOLS


def _one_end(name: Any, boundary: Any, other_boundary: Any) -> Any:
    return boundary != "" or name in ENCRYPTING_RECORD_PROTOCOLS


def _servers_order(offered: Any, allowed: Any, error: str) -> Any:
    return negotiation.choose(allowed, offered, error)


BOUNDARIES = Check(
    "negotiation: boundaries",
    "between boundaries that differ, or with one missing, only record protocols that encrypt are chosen or accepted; "
    "within one, the client's first that the server allows",
    "3 record protocols a side, any names, any of which may encrypt, any two boundaries; for longer lists: first "
    "common name",
    ("REC-7", "REC-1", "HS-4", "HS-6"),
    frozenset({"server chooses", "server refuses", "client accepts", "client refuses"}),
    Ends(),
    (
        Fault("no boundary", "two ends without a boundary count as one place", Ends(record_allowed=_no_place)),
        Fault("one end", "the boundary of one end is enough", Ends(record_allowed=_one_end)),
        Fault("server's order", "the server's list decides", Ends(choose=_servers_order)),
    ),
    _boundaries,
    _boundaries_violate,
)
