"""One honest handshake twice: as a script runs it, and as the model does with the same names; and how they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from alts_model import terms
from alts_model.ciphers import CIPHERS
from alts_model.tables import TABLES, Role
from alts_proofs import Script
from alts_proofs.honest import Estate, HonestRun, Plan, Value, honest_run, is_fresh
from tests.differential.scripts_dictionary import Dictionary, Untranslated, strings
from tests.differential.scripts_events import (
    belongs,
    compare_claims,
    compare_event,
    compare_terms,
    others,
    ticket_secret,
)
from tests.differential.scripts_model import ModelEnd, ModelWorld, Place

CLAIMS: Final = tuple(row.claim for role in ("client", "server") for row in TABLES[role] if row.claim is not None)
"""The names of agreement claims in the transition tables."""


PARTS: Final = ("Init", "authenticator", "ticket", "ticket_authenticator", "data")
"""What each end sends. A Finished travels in up to three parts: the attacker can take it apart anyway."""

UNHEARD: Final = {
    "brief/silence.pvl": ("last * data",),
    "brief/first_silence.pvl": ("full * data",),
    "brief/finish.pvl": ("full * ticket*",),
    **dict.fromkeys(
        ("brief/finish_server_ticket.pvl", "brief/finish_server_ticket_told.pvl"), ("full client ticket*",)
    ),
    **dict.fromkeys(
        ("brief/finish_client_ticket.pvl", "brief/finish_client_ticket_told.pvl"), ("full server ticket*",)
    ),
    "brief/client_side_chain_finish.pvl": ("resumed client ticket*",),
    "brief/server_side_chain_finish.pvl": ("resumed server ticket*",),
    "brief/finish_with_tickets.pvl": ("full * data",),
    "brief/resumed_finish.pvl": ("resumed * ticket*",),
    "brief/resumed_tickets_of_client.pvl": ("resumed server ticket*", "resumed * data"),
    "brief/resumed_tickets_of_server.pvl": ("resumed client ticket*", "resumed * data"),
}
"""What a script with some fragment does not send, though the model does: stage, role, part.

Stages: ``full``, ``resumed``, and ``last`` for all resumed ones, or the full one where there are no others.
"""

CLEAR: Final = "variants/records_in_clear.pvl"
"""Records that do not encrypt."""


@dataclass(frozen=True, slots=True)
class Family:
    """Scripts that one mapping serves.

    `marks` are the fragments by which a script is of the family; `ciphers` are the constants of its handshake ciphers;
    `estates` says whether the environment configures the two ends, or a process of the script does; `handshakes` how
    many handshakes an honest run has, all but the first being resumed; `unclaimed` are claims, with those of resumed
    sessions under their own names, that the scripts have no event for; `holder` keeps its tickets for all its replicas.
    """

    name: str
    marks: frozenset[str]
    ciphers: tuple[str, ...]
    estates: bool = True
    handshakes: int = 1
    unclaimed: frozenset[str] = frozenset()
    holder: Role | None = None


_STATIC: Final = ("x25519StaticSha256",)
_CIPHERS: Final = {
    "static, brief": ("cipher_static", _STATIC),
    "PFS": ("cipher_pfs", ("x25519PfsSha256",)),
    "KCI": ("cipher_kci", ("x25519KciSha256",)),
    "hybrid": ("cipher_hybrid", ("x25519Mlkem768PfsSha256",)),
    "KCI or static": ("cipher_kci_or_static", ("x25519KciSha256", *_STATIC)),
    "PFS or static": ("cipher_pfs_or_static", ("x25519PfsSha256", *_STATIC)),
}
"""Of the brief scripts: fragment, and ciphers that both ends allow, the first of which is chosen."""


def _brief(name: str, finish: str = "finish", realm: str = "realm") -> Family:
    """A full handshake between entities without chains; with tickets it has no claims of its own."""
    file, ciphers = _CIPHERS[name]
    roles = "machines_roles" if realm == "machines_realm" else "full_roles"
    marks = frozenset(f"brief/{one}.pvl" for one in (file, roles, finish, realm))
    if roles == "full_roles":
        marks |= {"brief/no_resumption.pvl"}
    unclaimed = frozenset({"ClientStarts"} if finish == "finish" else CLAIMS)
    return Family(f"{name}, {finish}, {realm}", marks, ciphers, unclaimed=unclaimed)


def _resumed(side: str, name: str, finish: str = "resumed_finish") -> Family:
    """A full handshake in which a ticket is made, and a session that resumes it at another replica of its maker."""
    file, ciphers = _CIPHERS[name]
    marks = frozenset(f"brief/{one}.pvl" for one in (file, "full_roles", side, finish, "realm"))
    silent = ["ClientStarts"] if finish == "resumed_finish" else CLAIMS
    unclaimed = frozenset({*CLAIMS, *(f"Resumed{claim}" for claim in silent)})
    return Family(f"{name}, {side}, {finish}", marks, ciphers, handshakes=2, unclaimed=unclaimed)


def _kept(maker: str, name: str) -> Family:
    """A full handshake in which one end makes a ticket, which is not used."""
    file, ciphers = _CIPHERS[name]
    ends = ("full_roles", f"finish_{maker}_ticket_told", "tickets_kept", "realm")
    marks = frozenset(f"brief/{one}.pvl" for one in (file, *ends))
    return Family(f"{name}, {maker}-made ticket", marks, ciphers, unclaimed=frozenset(CLAIMS))


def _chain(side: str, name: str) -> Family:
    """A full handshake and two sessions, each resumed with a ticket of the one before, each at another replica."""
    file, ciphers = _CIPHERS[name]
    ends = ("full_roles", f"{side}_chain", f"{side}_told", f"{side}_chain_finish", "realm")
    marks = frozenset(f"brief/{one}.pvl" for one in (file, *ends))
    unclaimed = frozenset({*CLAIMS, "ResumedClientStarts"})
    holder: Role = "client" if side == "client_side" else "server"
    return Family(f"{name}, {side}, chain", marks, ciphers, handshakes=3, unclaimed=unclaimed, holder=holder)


_SIDES: Final = ("client_side", "server_side")
_RESUMED: Final = ("resumed_finish", "resumed_tickets_of_client", "resumed_tickets_of_server")
FAMILIES: Final = (
    Family("static", frozenset({"variants/cipher_static.pvl", "lib/roles.pvl", "lib/realm.pvl"}), _STATIC),
    Family(
        "static, observed",
        frozenset({"variants/cipher_static.pvl", "lib/roles.pvl", "lib/observed_realm.pvl"}),
        _STATIC,
        estates=False,
    ),
    *(_brief(name, finish) for finish in ("finish", "finish_with_tickets") for name in _CIPHERS),
    *(_brief(name, realm="machines_realm") for name in ("PFS", "KCI", "hybrid")),
    Family(
        "PFS, entities of all categories",
        frozenset({"brief/cipher_pfs.pvl", "brief/machines_roles.pvl", "brief/finish.pvl", "lib/realm.pvl"}),
        ("x25519PfsSha256",),
        unclaimed=frozenset({"ClientStarts"}),
    ),
    *(_kept(maker, name) for maker in ("client", "server") for name in ("static, brief", "PFS")),
    *(_resumed(side, name, finish) for side in _SIDES for name in ("static, brief", "PFS") for finish in _RESUMED),
    *(_chain(side, name) for side in _SIDES for name in ("static, brief", "PFS")),
)


def family(script: Script) -> Family | None:
    """The one family of a script; None for a new one, which needs a row."""
    found = [one for one in FAMILIES if one.marks <= set(script.libraries)]
    return found[0] if len(found) == 1 else None


WITHOUT_RUN: Final = {
    **dict.fromkeys(("lib/theft_realm.pvl", "brief/no_roles.pvl"), "nobody talks: thieves are alone there"),
    "brief/observed_realm.pvl": "it configures its ends over a private channel; the roles are those of brief/realm.pvl",
    **dict.fromkeys(
        ("brief/client_side_ideal.pvl", "brief/server_side_ideal.pvl"),
        "tickets over ideal secrets come from nowhere: there is no full handshake",
    ),
}
"""Fragments of scripts that have no honest run to compare, with the reason; their roles are compared elsewhere."""

LATE: Final = frozenset(f"brief/{side}{told}.pvl" for side in _SIDES for told in ("", "_told"))
"""Where resumed sessions begin: after the full handshake, whose tickets they need."""


def plan(row: Family, category: str) -> Plan:
    """Two estates of a category: the client is in the first, the server in the second."""
    common = {
        "category": category,
        "ciphers": f"prefer({row.ciphers[0]}, {row.ciphers[-1]})",
        "protocols": "prefer(encrypting, integrityOnly)",
        "protocol": "encrypting",
        "allowed": "allowsAll",
    }
    client = {"name": "'frontend'", "target": "self@2", "salt": "'client-salt'", "lifetime": "'client-lifetime'"}
    server = {"name": "'backend'", "salt": "'server-salt'", "lifetime": "'server-lifetime'"}
    estates = Estate(common | client, frozenset({"allowed"})), Estate(common | server, frozenset({"target"}))
    return Plan(estates if row.estates else (), LATE, max(1, row.handshakes - 1))


KEYS: Final = {"prk": "prk", "m": "M", "r": "R", "a": "A", "info": "transcript_hash"}
"""The scripts' names of what the key schedule gives, and the model's."""


def compare(script: Script, category: str = "individual(machineKind)") -> list[str]:
    """Runs `script` and the model and compares them term by term: in words, each place where they differ.

    Raises `LookupError` for a script of no family.
    """
    row = family(script)
    if row is None:
        raise LookupError(f"{script.file}: no family; give it a row in FAMILIES")
    run = honest_run(script, plan(row, category))
    failed = [f"the honest run fails: {'; '.join(run.failures)}"] if run.failures else []
    try:
        return failed + list(_differences(script, row, run))
    except Untranslated as error:
        return [*failed, f"no counterpart in the model: {error}"]


def handshakes(run: HonestRun) -> list[tuple[Place, Place]]:
    """Both ends of each handshake, client first, in the order of the servers' answers."""
    found = []
    for message in run.messages:
        server = message.sender, message.connection
        if message.value.label in ("serverInit", "resumedServerInit") and server in run.peers:
            found.append((run.peers[server], server))
    return found


def _differences(script: Script, row: Family, run: HonestRun) -> Iterator[str]:
    words = Dictionary(strings(script.root / library for library in script.libraries), ())
    for cipher in row.ciphers:
        if words.strings.get(cipher) not in CIPHERS:
            raise Untranslated(f"{cipher}, {words.strings.get(cipher)!r}")
    words.ciphers = tuple(words.strings[cipher] for cipher in row.ciphers)
    unheard = [pattern for library in script.libraries for pattern in UNHEARD.get(library, ())]
    found = handshakes(run)
    if len(found) != row.handshakes:
        raise Untranslated(f"{len(found)} handshakes, not {row.handshakes}")
    world = ModelWorld(words, run, *found[0], row.holder)
    claimed: list[str] = []
    secrets: set[terms.Term] = set()
    for number, (client, server) in enumerate(found):
        stage = "resumed" if number else "full"
        left, right, claims = world.handshake(client, server)
        prefix = "" if stage == "full" else "Resumed"
        stages = [stage, "last"] if number or len(found) == 1 else [stage]
        tickets: dict[Role, Value] = {}
        for place, end in ((client, left), (server, right)):
            if (ticket := _parts(run.sent(*place)).get("ticket")) is not None:
                tickets[end.role] = ticket
                secrets.add(ticket_secret(end))
        for place, end in ((client, left), (server, right)):
            heard = [part for part in PARTS if not _matches(unheard, stages, end.role, part)]
            yield from _compare_end(words, run, place, end, heard, stage, CLEAR in script.libraries)
            yield from compare_claims(words, run, place, end, prefix, row.unclaimed)
            for one in others(run, frozenset(CLAIMS)):
                if belongs(one, place):
                    yield from compare_event(words, run, place, one, end, tickets)
        claimed += [prefix + claim for claim in claims if prefix + claim not in row.unclaimed]
        yield from _order(run, client, server)
    yield from _outside(words, run, found, secrets)
    names = {prefix + claim for prefix in ("", "Resumed") for claim in CLAIMS}
    events = [one.event for one in run.events if one.event in names]
    if events != claimed:
        yield f"events {', '.join(events)}; the model's claims {', '.join(claimed)}"


def _outside(
    words: Dictionary, run: HonestRun, found: list[tuple[Place, Place]], secrets: set[terms.Term]
) -> Iterator[str]:
    """What is said and what happens outside all handshakes.

    Names, the root's key and certificates are published. The last ticket of a chain is held, with one of `secrets`.
    """
    places = [place for ends in found for place in ends]
    published = {run.value(*place, variable) for place in found[0] for variable in ("root", "certificate")}
    published |= {one for certificate in list(published) for one in _named(certificate)}
    for message in run.messages:
        if (message.sender, message.connection) not in places and message.value not in published:
            yield f"{message.value} is sent outside any handshake, at {message.place}"
    for one in others(run, frozenset(CLAIMS)):
        last = one.event == "Held" and words.term(one.args[-1]) in secrets
        if not last and not any(belongs(one, place) for place in places):
            yield f"{one.event}: of no end of a handshake"


def _named(value: Value) -> Iterator[Value]:
    """The names of the identities in a certificate."""
    if value.label in ("honest", "identity"):
        yield value.args[-1]
    for arg in value.args:
        yield from _named(arg)


def _matches(patterns: list[str], stages: list[str], role: str, part: str) -> bool:
    return any(fnmatchcase(f"{stage} {role} {part}", pattern) for stage in stages for pattern in patterns)


def _compare_end(
    words: Dictionary, run: HonestRun, place: Place, end: ModelEnd, heard: list[str], stage: str, clear: bool
) -> Iterator[str]:
    """Messages and keys of one end of one handshake. `clear`: records do not encrypt."""
    what = end.role if stage == "full" else f"{stage} {end.role}"
    mine = _parts(run.sent(*place))
    if (ticket := mine.get("ticket")) is not None and "ticket" in end.sent:
        _open_contents(words, place, ticket, end.sent["ticket"])
    for part in heard:
        given = mine.get(part)
        if part == "data" and given is not None and clear:
            yield from _compare_clear(words, f"{what}'s data", given, end)
            continue
        yield from compare_terms(f"{what}'s {part}", None if given is None else words.term(given), end.sent.get(part))
    yield from (f"{what}: {part} is sent" for part in PARTS if part in mine and part not in heard)
    if extra := sorted(set(mine) - set(PARTS)):
        yield f"{what}: {len(extra)} messages more than in the model"
    for variable, attribute in KEYS.items():
        value = run.bound[place[0]][place[1]].get(variable)
        if value is not None:
            found = words.term(value.args[0] if variable == "info" and value.args else value)
            yield from compare_terms(f"{what}'s {attribute}", found, getattr(end.schedule, attribute))
        elif variable in ("prk", "a", "info"):
            yield f"{what}: no {variable}"


def _open_contents(words: Dictionary, place: Place, ticket: Value, theirs: terms.Term) -> None:
    """Contents that a script leaves out, a name made for them alone, stand for what is in the model's ticket."""
    contents = ticket.args[0] if ticket.label == "someTicket" else ticket
    if contents.label == "contents" and is_fresh(contents, place[0]) and theirs.op == "IssuedTicket":
        words.boxes[contents] = theirs.subterms[1]


def _compare_clear(words: Dictionary, what: str, record: Value, end: ModelEnd) -> Iterator[str]:
    """A record that does not encrypt, for which the model has none: the same text, and its tag under M."""
    text, tag = words.parts(record, "tuple", 2)
    key, tagged = words.parts(tag, "hmac", 2)
    direction, again = words.parts(tagged, "tuple", 2)
    if direction.label != f"from{end.role.capitalize()}" or again != text:
        yield f"{what}: {record}"
    sealed = words.seal(key, Value(f"from{end.role.capitalize()}", "free"), Value("noAssociatedData", "free"), text)
    yield from compare_terms(what, sealed, end.sent.get("data"))


def _parts(sent: list[Value]) -> dict[str, Value]:
    """The messages of one end by name."""
    rest = list(sent)
    found: dict[str, Value] = {}
    for part in PARTS:
        if part.startswith("ticket") and "ticket" not in found and (not rest or rest[0].label not in _TICKETS):
            continue
        if rest:
            found[part] = rest.pop(0)
    return found | {f"more {number}": value for number, value in enumerate(rest)}


_TICKETS: Final = ("someTicket", "noTicket")


def _order(run: HonestRun, client: Place, server: Place) -> Iterator[str]:
    """Who speaks when: nothing of the server's application before the client's Finished is whole (SPEC.md 2.5)."""
    sent: dict[Place, list[int]] = {client: [], server: []}
    for number, message in enumerate(run.messages):
        sent.get((message.sender, message.connection), []).append(number)
    finished = {
        place: [n for n, part in zip(sent[place], _parts(run.sent(*place)), strict=True) if part != "data"]
        for place in sent
    }
    data = set(sent[server]) - set(finished[server])
    if data and min(data) < max(finished[client]):
        yield "the server's data come before ClientFinished"
