"""One honest handshake twice: as a script runs it, and as the model does with the same names; and how they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from alts_model.algebra import KeySchedule
from alts_model.ciphers import CIPHERS
from alts_model.connection import Local, Party
from alts_model.keying import Randomness
from alts_model.machine import Machine
from alts_model.messages import INPUT_OF_MESSAGE, Claim, present
from alts_model.stores import Resumption, ResumptionKeys, TicketCache, UsedSecrets
from alts_model.symbolic import SymbolicAlgebra, verification_key_id
from alts_model.syntax import IMPLEMENTED_RECORD_PROTOCOLS
from alts_model.tables import TABLES, Role
from alts_model.terms import Term, name, show
from alts_model.trust import PolicyRule, Trust
from alts_proofs import Script
from alts_proofs.honest import Estate, HonestRun, Path, Plan, Value, honest_run, is_fresh
from tests.differential.scripts_dictionary import (
    APPLICATIONS,
    EPOCH,
    FRAME_SIZE,
    NOW,
    RPC,
    Dictionary,
    Untranslated,
    strings,
)

CLAIMS: Final = tuple(row.claim for role in ("client", "server") for row in TABLES[role] if row.claim is not None)
"""The names of agreement claims in the transition tables."""


PARTS: Final = ("Init", "authenticator", "ticket", "ticket_authenticator", "data")
"""What each end sends. A Finished travels in up to three parts: the attacker can take it apart anyway."""

UNHEARD: Final = {
    "variants/records_in_clear.pvl": frozenset({"data"}),
    "brief/silence.pvl": frozenset({"data"}),
    "brief/finish.pvl": frozenset({"ticket", "ticket_authenticator"}),
}
"""Parts of messages that a script with some fragment does not send, or that the model has no counterpart for."""


@dataclass(frozen=True, slots=True)
class Family:
    """Scripts that one mapping serves.

    `marks` are the fragments by which a script is of the family; `cipher` is the constant of its handshake cipher;
    `estates` says whether the environment configures the two ends, or a process of the script does; `unclaimed` are
    claims of the tables that the scripts have no event for.
    """

    name: str
    marks: frozenset[str]
    cipher: str
    estates: bool = True
    unclaimed: frozenset[str] = frozenset()


def _brief(name: str, file: str, cipher: str) -> Family:
    """A full handshake between entities without chains, with one cipher."""
    marks = frozenset({f"brief/{file}.pvl", "brief/full_roles.pvl", "brief/finish.pvl", "brief/realm.pvl"})
    return Family(name, marks, cipher, unclaimed=frozenset({"ClientStarts"}))


FAMILIES: Final = (
    Family("static", frozenset({"variants/cipher_static.pvl", "lib/roles.pvl", "lib/realm.pvl"}), "x25519StaticSha256"),
    Family(
        "static, observed",
        frozenset({"variants/cipher_static.pvl", "lib/roles.pvl", "lib/observed_realm.pvl"}),
        "x25519StaticSha256",
        estates=False,
    ),
    _brief("static, brief", "cipher_static", "x25519StaticSha256"),
    _brief("PFS", "cipher_pfs", "x25519PfsSha256"),
)


def family(script: Script) -> Family | None:
    """The one family of a script; None for a new one, which needs a row."""
    found = [one for one in FAMILIES if one.marks <= set(script.libraries)]
    return found[0] if len(found) == 1 else None


def plan(row: Family, category: str) -> Plan:
    """Two estates of a category: the client is in the first, the server in the second."""
    common = {
        "category": category,
        "ciphers": f"prefer({row.cipher}, {row.cipher})",
        "protocols": "prefer(encrypting, integrityOnly)",
        "protocol": "encrypting",
        "allowed": "allowsAll",
    }
    client = {"name": "'frontend'", "target": "self@2", "salt": "'client-salt'", "lifetime": "'client-lifetime'"}
    server = {"name": "'backend'", "salt": "'server-salt'", "lifetime": "'server-lifetime'"}
    estates = Estate(common | client, frozenset({"allowed"})), Estate(common | server, frozenset({"target"}))
    return Plan(estates if row.estates else ())


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
    try:
        return list(_differences(script, row, run))
    except Untranslated as error:
        return [f"no counterpart in the model: {error}"]


Place = tuple[Path, int]
"""A copy, and the number of its connection."""


def ends(run: HonestRun) -> tuple[Place, Place]:
    """The connections that completed as client and as server. Raises `Untranslated` if there is not one of each."""
    found = [
        [(one.by, one.connection) for one in run.happened(name)] for name in ("ClientCompletes", "ServerCompletes")
    ]
    if [len(places) for places in found] != [1, 1]:
        raise Untranslated(f"an honest handshake that does not complete: {'; '.join(run.failures) or 'it waits'}")
    return found[0][0], found[1][0]


def _differences(script: Script, row: Family, run: HonestRun) -> Iterator[str]:
    if run.failures:
        yield f"the honest run fails: {'; '.join(run.failures)}"
    words = Dictionary(strings(script.root / library for library in script.libraries), ())
    if words.strings.get(row.cipher) not in CIPHERS:
        raise Untranslated(f"{row.cipher}, {words.strings.get(row.cipher)!r}")
    words.ciphers = (words.strings[row.cipher],)
    unheard = frozenset().union(*(UNHEARD.get(library, frozenset()) for library in script.libraries))
    client, server = ends(run)
    left, right, claims = _model(words, run, (client, server))
    for place, end in ((client, left), (server, right)):
        mine = _parts(run.sent(*place))
        for part in PARTS:
            if part not in unheard:
                given = mine.get(part)
                yield from _compare_terms(
                    f"{end.role}'s {part}", None if given is None else words.term(given), end.sent.get(part)
                )
        if extra := sorted(set(mine) - set(PARTS)):
            yield f"{end.role}: {len(extra)} messages more than in the model"
        for variable, attribute in KEYS.items():
            value = run.value(*place, variable)
            found = words.term(value.args[0] if variable == "info" and value.args else value)
            yield from _compare_terms(f"{end.role}'s {attribute}", found, getattr(end.schedule, attribute))
        yield from _compare_claims(words, run, place, end, row.unclaimed)
    claims = [claim for claim in claims if claim not in row.unclaimed]
    events = [one.event for one in run.events if one.event in CLAIMS]
    if events != claims:
        yield f"events {', '.join(events)}; the model's claims {', '.join(claims)}"
    yield from _order(run, client, server)


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


@dataclass(slots=True)
class _ModelEnd:
    """One end of the model's run."""

    role: Role
    local: Local[Term]
    resumption: Resumption[Term]
    sent: dict[str, Term] = field(default_factory=dict)
    claims: list[Claim[Term]] = field(default_factory=list)

    def note(self, name: str, value: Term) -> None:
        """Keeps what was sent, by part."""
        if name.endswith("Finished"):
            self.sent |= dict(zip(("authenticator", "ticket_authenticator", "ticket"), value.subterms, strict=True))
        elif name != "payload":
            self.sent.setdefault("data" if name == "data" else "Init", value)

    @property
    def schedule(self) -> KeySchedule[Term]:
        """Complete once both Inits are known."""
        return present(self.local.schedule)


def _fresh(run: HonestRun, words: Dictionary, path: Place, variable: str) -> Term:
    """A name that this very copy made."""
    value = run.value(*path, variable)
    if not is_fresh(value, path[0]):
        raise Untranslated(f"{variable} of {path}, which is not fresh: {value}")
    return words.term(value)


def _model(words: Dictionary, run: HonestRun, paths: tuple[Place, Place]) -> tuple[_ModelEnd, _ModelEnd, list[str]]:
    """The model's run with the script's names, and the claims in the order in which they were made."""
    algebra = SymbolicAlgebra()
    machine: Machine[Term] = Machine(algebra)
    root = words.term(run.value(*paths[0], "root"))
    certificates = [words.term(run.value(*path, "certificate")) for path in paths]
    views = [algebra.certificate(certificate) for certificate in certificates]
    policy = tuple(PolicyRule(f"authority/{view.category}", view.category, "**") for view in views)
    records = words.list(run.value(*paths[0], "protocols"))

    def end(role: Role, number: int) -> _ModelEnd:
        path, view = paths[number], views[number]
        targets = frozenset({views[1].identity}) if role == "client" else frozenset[str]()
        party = Party(
            certificates[number],
            view,
            words.term(run.value(*path, "dhKey")),
            Trust({verification_key_id(root): root}, policy, frozenset(), NOW, targets),
            words.ciphers,
            records if role == "client" else IMPLEMENTED_RECORD_PROTOCOLS,
            APPLICATIONS,
            RPC,
            FRAME_SIZE,
            _fresh(run, words, path, f"{role}Nonce"),
            Randomness(
                (_fresh(run, words, path, _either(run, path, "ephemeral", f"{role}Ephemeral")),),
                ticket_salts=_salts(run, words, path),
            ),
        )
        key = words.term(run.value(*path, "resumptionKey"))
        keys = ResumptionKeys(words.resumption_id(view.identity), ((EPOCH, key),))
        return _ModelEnd(role, machine.initial(role, party), Resumption(keys, TicketCache(), UsedSecrets()))

    client, server = end("client", 0), end("server", 1)
    claims: list[str] = []

    def step(one: _ModelEnd, input_name: str, payload: Term | None = None) -> tuple[tuple[str, Term], ...]:
        outcome = machine.step(one.local, input_name, payload, one.resumption)
        if outcome.failure is not None:
            raise Untranslated(f"a handshake that the model refuses: {input_name}: {outcome.failure.refusal}")
        one.local = outcome.local
        one.claims += outcome.claims
        claims.extend(claim.name for claim in outcome.claims)
        for message, value in outcome.outputs:
            one.note(message, value)
        return outcome.outputs

    waiting = [(server, *one) for one in step(client, "start")]
    while waiting:
        receiver, message, value = waiting.pop(0)
        other = client if receiver is server else server
        waiting += [(other, *one) for one in step(receiver, INPUT_OF_MESSAGE[message], value)]
    for one, payload in ((client, "payload"), (server, "answer")):
        own, peer = (view.identity for view in (views if one is client else views[::-1]))
        step(one, "send", name(f"{payload} of {own} to {peer}"))
    return client, server, claims


def _either(run: HonestRun, path: Place, first: str, second: str) -> str:
    """The one of two names that an end has a variable of."""
    try:
        run.value(*path, first)
    except KeyError:
        return second
    return first


def _salts(run: HonestRun, words: Dictionary, path: Place) -> tuple[Term, ...]:
    """The salt of the ticket that an end makes, if it makes one."""
    try:
        mine = run.value(*path, "mine")
    except KeyError:
        return ()
    return (words.term(mine.args[0].args[0]),) if mine.label == "someTicket" else ()


def _compare_terms(what: str, mine: Term | None, theirs: Term | None) -> Iterator[str]:
    if mine is theirs:
        return
    if mine is None or theirs is None:
        yield f"{what}: only {'the model' if mine is None else 'the script'} has it"
        return
    where, left, right = _first(mine, theirs, what)
    yield f"{where}: {left} in the script, {right} in the model"


def _first(mine: Term, theirs: Term, where: str) -> tuple[str, str, str]:
    """The first place where two terms differ."""
    if mine.op == theirs.op and len(mine.args) == len(theirs.args):
        for number, (left, right) in enumerate(zip(mine.args, theirs.args, strict=True)):
            if left is not right and isinstance(left, Term) and isinstance(right, Term):
                return _first(left, right, f"{where}.{mine.op}[{number}]")
            if left != right:
                return where, show(mine), show(theirs)
    return where, show(mine)[:200], show(theirs)[:200]


def _compare_claims(
    words: Dictionary, run: HonestRun, path: Place, end: _ModelEnd, unclaimed: frozenset[str]
) -> Iterator[str]:
    """The arguments of the events against the data of the claims."""
    for claim in (one for one in end.claims if one.name not in unclaimed):
        happened = [one for one in run.happened(claim.name) if (one.by, one.connection) == path]
        if len(happened) != 1:
            yield f"{claim.name}: {len(happened)} events in the script"
            continue
        args = happened[0].args
        if claim.agreed is None:
            offered = present(end.local.offered)
            wanted: tuple[object, ...] = (
                present(end.local.agreed).client,
                present(end.local.agreed).server,
                offered.nonce,
                offered.handshake_ciphers,
                offered.record_protocols,
            )
            given: tuple[object, ...] = (*map(words.string, args[:2]), words.term(args[2]), *map(words.list, args[3:]))
        else:
            agreed = claim.agreed
            identities = (agreed.client, agreed.server) if end.role == "client" else (agreed.server, agreed.client)
            wanted = (
                *identities,
                agreed.client_nonce,
                agreed.server_nonce,
                agreed.handshake_ciphers,
                agreed.record_protocols,
                agreed.choices.handshake_cipher,
                agreed.choices.record_protocol,
            )
            negotiated = args[4].args
            given = (
                *map(words.string, args[:2]),
                *map(words.term, args[2:4]),
                *map(words.list, negotiated[:2]),
                *map(words.string, negotiated[2:]),
            )
        if given != wanted:
            yield f"{claim.name}: {given} in the script, {wanted} in the model"
