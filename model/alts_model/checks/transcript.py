"""What Finished pins down: the negotiation (SPEC.md 6.5), and a resumed session to one answer (SPEC.md 12.7).

The key schedule and the check of Finished are the model's own, over an algebra whose values are z3 terms. Its functions
are free constructors: equal results have equal arguments. That is perfect cryptography: hashes and MACs that never
collide. A MAC that an end accepts was made by an honest end that has the key, in this handshake or in any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import z3

from alts_model import codec
from alts_model.algebra import FINISHED_LABELS, KeySchedule, key_schedule
from alts_model.checks.proving import Check, Example, Fault, Statement
from alts_model.concrete import ConcreteAlgebra
from alts_model.connection import Local
from alts_model.machine import Machine
from alts_model.messages import MODE_CLIENT_TICKET, ClientInit, Finished, PresentedTicket, ServerInit
from alts_model.tables import Role

_CLIENT_LISTS = ("handshake_ciphers", "record_protocols", "application_protocols")
_CHOICES = ("handshake_cipher", "record_protocol", "application_protocol")


def _sort(name: str, **constructors: tuple[tuple[str, Any], ...]) -> Any:
    """A z3 datatype; a field whose sort is "self" is of the datatype itself."""
    made = z3.Datatype(name)
    for constructor, fields in constructors.items():
        made.declare(constructor, *((field, made if isinstance(kind, str) else kind) for field, kind in fields))
    return made.create()


_INT = z3.IntSort()
_NAMES = _sort("Names", nothing=(), then=(("name", _INT), ("others", "self")))
_CLIENT = _sort("ClientInit", client_init=(("nonce", _INT), *((name, _NAMES) for name in _CLIENT_LISTS)))
_SERVER = _sort("ServerInit", server_init=(("server_nonce", _INT), *((name, _INT) for name in _CHOICES)))
_TERM = _sort(
    "Term",
    secret=(("which", _INT),),
    transcript=(("client_message", _CLIENT), ("server_message", _SERVER)),
    extract=(("material", "self"),),
    info=(("label", _INT), ("th", "self"), ("client", _INT), ("server", _INT)),
    expand=(("prk", "self"), ("context", "self"), ("size", _INT)),
    mac=(("key", "self"), ("over", _INT)),
)


class TermAlgebra:
    """The part of the algebra that Finished needs, over z3 terms. Labels are numbers, different ones for each."""

    def __init__(self) -> None:
        self._labels: dict[str, int] = {}

    def _label(self, text: str) -> int:
        return self._labels.setdefault(text, len(self._labels))

    def transcript(self, client_init: Any, server_init: Any) -> Any:
        """SPEC.md 7.1."""
        return _TERM.transcript(client_init, server_init)

    def extract(self, material: Any) -> Any:
        """SPEC.md 7.3."""
        return _TERM.extract(material)

    def info(self, label: str, transcript: Any, client: Any, server: Any) -> Any:
        """SPEC.md 7.4."""
        return _TERM.info(self._label(label), transcript, client, server)

    def expand(self, prk: Any, info: Any, size: int) -> Any:
        """SPEC.md 7.4."""
        return _TERM.expand(prk, info, size)

    def authenticator(self, key: Any, label: str) -> Any:
        """SPEC.md 7.5."""
        return _TERM.mac(key, self._label(label))

    def ticket_authenticator(self, key: Any, label: str, _ticket: Any) -> Any:
        """SPEC.md 7.6, without a ticket."""
        return _TERM.mac(key, self._label(label))

    def equal(self, left: Any, right: Any) -> Any:
        """A formula."""
        return left == right


@dataclass(frozen=True)
class Hashing:
    """What is left out of the hash, or of the labels; over terms and over bytes alike."""

    lists: bool = True
    choices: bool = True
    server_nonce: bool = True
    roles: bool = True
    fresh: bool = True

    def algebra(self) -> Any:
        """Over terms."""
        return _WeakTerms(self)

    def concrete(self) -> ConcreteAlgebra:
        """Over bytes."""
        return _WeakBytes(self)


class _WeakTerms(TermAlgebra):
    def __init__(self, hashing: Hashing) -> None:
        super().__init__()
        self._hashing = hashing

    def transcript(self, client_init: Any, server_init: Any) -> Any:
        if not self._hashing.lists:
            client_init = _CLIENT.client_init(_CLIENT.nonce(client_init), *(_NAMES.nothing for _ in _CLIENT_LISTS))
        if not self._hashing.choices:
            server_init = _SERVER.server_init(_SERVER.server_nonce(server_init), *(0 for _ in _CHOICES))
        if not self._hashing.server_nonce:
            server_init = _SERVER.server_init(0, *(getattr(_SERVER, name)(server_init) for name in _CHOICES))
        return super().transcript(client_init, server_init)

    def authenticator(self, key: Any, label: str) -> Any:
        return super().authenticator(key, label if self._hashing.roles else "finished")


class _WeakBytes(ConcreteAlgebra):
    def __init__(self, hashing: Hashing) -> None:
        self._hashing = hashing

    def transcript(self, client_init: bytes, server_init: bytes) -> bytes:
        if not self._hashing.lists:
            one = codec.decode_client_init(client_init)
            lists: dict[str, Any] = dict.fromkeys(_CLIENT_LISTS, ("left-out",))
            client_init = codec.encode(replace(one, **lists, key_shares=()))
        if not (self._hashing.choices and self._hashing.server_nonce):
            other = codec.decode_server_init(server_init)
            if not self._hashing.choices:
                choices: dict[str, Any] = dict.fromkeys(_CHOICES, "left-out")
                other = replace(other, **choices)
            if not self._hashing.server_nonce:
                other = replace(other, nonce=bytes(32))
            server_init = codec.encode(other)
        return super().transcript(client_init, server_init)

    def authenticator(self, key: bytes, label: str) -> bytes:
        return super().authenticator(key, label if self._hashing.roles else "finished")


def _accepts(algebra: Any, schedule: KeySchedule[Any], sender: Role, other: KeySchedule[Any], maker: Role) -> Any:
    """Whether the end with `schedule`, waiting for `sender`'s Finished, takes what `maker` made under `other`."""
    machine: Machine[Any] = Machine(algebra)
    ends: list[Local[Any]] = [Local("client", "OPEN", cast(Any, None), schedule=one) for one in (schedule, other)]
    here, there = ends
    given: Finished[Any] = machine.finished(there, maker, None)
    return machine.authenticator_is_right(sender, machine.finished(here, sender, None), given)


class _End:
    """A handshake as one end has it: all of it free, the identities and the key material too."""

    def __init__(self, name: str, algebra: Any) -> None:
        self.client_init = z3.Const(f"{name}'s ClientInit", _CLIENT)
        self.server_init = z3.Const(f"{name}'s ServerInit", _SERVER)
        self.secret = z3.Int(f"{name}'s secret")
        client, server = cast(Any, z3.Int(f"{name}'s client")), cast(Any, z3.Int(f"{name}'s server"))
        self.schedule: KeySchedule[Any] = key_schedule(
            algebra, _TERM.secret(self.secret), self.client_init, self.server_init, client, server
        )

    def shown(self, model: Any) -> dict[str, Any]:
        """The fields, in plain values."""
        fields: dict[str, Any] = {"nonce": _int(model, _CLIENT.nonce(self.client_init))}
        for name in _CLIENT_LISTS:
            fields[name] = _names(model.eval(getattr(_CLIENT, name)(self.client_init), model_completion=True))
        fields["server_nonce"] = _int(model, _SERVER.server_nonce(self.server_init))
        for name in _CHOICES:
            fields[name] = f"n{_int(model, getattr(_SERVER, name)(self.server_init))}"
        return fields


def _int(model: Any, term: Any) -> int:
    return int(model.eval(term, model_completion=True).as_long())


def _names(value: Any) -> tuple[str, ...]:
    found = []
    while value.decl().name() == "then":
        found.append(f"n{value.arg(0).as_long()}")
        value = value.arg(1)
    return tuple(found)


def _no_edit(hashing: Hashing) -> Iterator[Statement]:
    algebra = hashing.algebra()
    here, there = _End("here", algebra), _End("there", algebra)
    roles: tuple[Role, Role] = ("client", "server")

    def example(model: Any) -> Example:
        one, other = here.shown(model), there.shown(model)
        different = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
        return {"waiting for": waiting, "made by": maker, **different}

    for waiting in roles:
        for maker in roles:
            accepted = _accepts(algebra, here.schedule, waiting, there.schedule, maker)
            if waiting == maker:
                same = z3.And(here.client_init == there.client_init, here.server_init == there.server_init)
                yield Statement("the peer's Finished", accepted, same, example)
            else:
                yield Statement("a reflected Finished", z3.BoolVal(True), z3.Not(accepted), example)


def _lists(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values)) or ("none",)


def _concrete(algebra: ConcreteAlgebra, example: Example, side: int) -> KeySchedule[bytes]:
    """The handshake of one side of an example, over bytes; what the example does not name is alike on both."""

    def field(name: str, default: Any) -> Any:
        return example[name][side] if name in example else default

    lists = {name: _lists(field(name, ("n0",))) for name in _CLIENT_LISTS}
    choices = {name: field(name, "n0") for name in _CHOICES}
    client_nonce, server_nonce = (_nonce(field(name, 0)) for name in ("nonce", "server_nonce"))
    rpc = ((2, 1), (2, 1))
    client_init: ClientInit[bytes] = ClientInit(
        client_nonce,
        b"certificate",
        lists["handshake_ciphers"],
        lists["record_protocols"],
        (),
        lists["application_protocols"],
        rpc,
        16384,
    )
    ticket = PresentedTicket(bytes(16), 1, b"ticket")
    server_init = ServerInit(
        server_nonce, MODE_CLIENT_TICKET, None, **choices, rpc_versions=rpc, max_frame_size=16384, ticket=ticket
    )
    payloads = algebra.encode(client_init), algebra.encode(server_init)
    return key_schedule(algebra, bytes(32), *payloads, "prod/frontend", "prod/backend")


def _nonce(number: int) -> bytes:
    return (number % (1 << 256)).to_bytes(32, "big")


def _no_edit_violates(hashing: Hashing, example: Example) -> str | None:
    algebra = hashing.concrete()
    one, other = (_concrete(algebra, example, side) for side in (0, 1))
    waiting, maker = example["waiting for"], example["made by"]
    if not _accepts(algebra, one, waiting, other, maker):
        return None
    if waiting != maker:
        return f"an end that waits for the {waiting}'s Finished takes the {maker}'s"
    return "Finished is accepted, and the two ends have different " + ", ".join(sorted(set(example) - _WHO))


_WHO = frozenset({"waiting for", "made by"})

NO_EDIT = Check(
    "negotiation: no edit survives Finished",
    "an end that accepts Finished has the same two Inits as the end that made it, lists and choices included, and it "
    "was made by the peer's role",
    "of the Inits the nonces, lists and choices: any of them, lists of any length; no certificates, shares, versions "
    "or tickets, which the same encoding carries; any secrets and identities; hashes and MACs are free constructors, "
    "encoding is one-to-one (canonical, SPEC.md 4.2)",
    ("HS-4", "HS-5", "HS-7", "HS-9"),
    frozenset({"the peer's Finished", "a reflected Finished"}),
    Hashing(),
    (
        Fault("lists", "the client's lists are not hashed", Hashing(lists=False)),
        Fault("choices", "the server's choices are not hashed", Hashing(choices=False)),
        Fault("roles", "both Finished messages have one label", Hashing(roles=False)),
    ),
    _no_edit,
    _no_edit_violates,
)


def _replay(hashing: Hashing) -> Iterator[Statement]:
    """A ClientInit with a ticket, and the ClientFinished that went with it, sent again to another replica."""
    algebra = hashing.algebra()
    first, again = _End("first", algebra), _End("again", algebra)
    replayed = first.client_init == again.client_init
    fresh = _SERVER.server_nonce(first.server_init) != _SERVER.server_nonce(again.server_init)

    def example(model: Any) -> Example:
        one, other = first.shown(model), again.shown(model)
        different = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
        return {"made by": maker, "server_nonce": (one["server_nonce"], other["server_nonce"]), **different}

    given = z3.And(replayed, fresh) if hashing.fresh else replayed
    for maker in cast(tuple[Role, ...], tuple(FINISHED_LABELS)):
        accepted = _accepts(algebra, again.schedule, "client", first.schedule, maker)
        yield Statement("answered, not completed", given, z3.Not(accepted), example)


def _replay_violates(hashing: Hashing, example: Example) -> str | None:
    algebra = hashing.concrete()
    if hashing.fresh and example["server_nonce"][0] == example["server_nonce"][1]:
        return None  # an end with fresh nonces does not come here
    first, again = (_concrete(algebra, example, side) for side in (0, 1))
    if not _accepts(algebra, again, "client", first, example["made by"]):
        return None
    return f"the {example['made by']}'s recorded Finished completes the replay"


REPLAY = Check(
    "tickets: a replay completes nowhere else",
    "a ClientInit that is replayed to a replica with a memory of its own is answered, but no Finished that was "
    "recorded completes that handshake",
    "any ticket, any secret; nonces are fresh, hashes and MACs free constructors",
    ("RES-7", "HS-9"),
    frozenset({"answered, not completed"}),
    Hashing(),
    (
        Fault("stale nonce", "the server's nonce is not fresh", Hashing(fresh=False)),
        Fault("nonce not hashed", "the server's nonce is not in the transcript", Hashing(server_nonce=False)),
    ),
    _replay,
    _replay_violates,
)
