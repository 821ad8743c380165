"""The symbolic run of the model, with the names that a script's honest run made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from alts_model.algebra import KeySchedule
from alts_model.connection import Local, Party
from alts_model.keying import Randomness
from alts_model.machine import Machine
from alts_model.messages import INPUT_OF_MESSAGE, Claim, present
from alts_model.stores import Resumption, ResumptionKeys, TicketCache, UsedSecrets
from alts_model.symbolic import SymbolicAlgebra, verification_key_id
from alts_model.syntax import IMPLEMENTED_RECORD_PROTOCOLS
from alts_model.tables import Role
from alts_model.terms import Term, name
from alts_model.trust import PolicyRule, Trust
from alts_proofs.honest import HonestRun, Path, Value, is_fresh
from tests.differential.scripts_dictionary import (
    APPLICATIONS,
    EPOCH,
    FRAME_SIZE,
    NOW,
    RPC,
    Dictionary,
    Untranslated,
    encapsulation_beside,
    seed_beside,
)

Place = tuple[Path, int]
"""A copy of a process, and the number of its connection."""

_ROLES: tuple[Role, Role] = ("client", "server")


@dataclass(slots=True)
class ModelEnd:
    """One end of one handshake in the model: what it sent, by part, and what it claimed."""

    role: Role
    local: Local[Term]
    sent: dict[str, Term] = field(default_factory=dict)
    claims: list[Claim[Term]] = field(default_factory=list)

    def note(self, message: str, value: Term) -> None:
        """Keeps what was sent, by part."""
        if message.endswith("Finished"):
            self.sent |= dict(zip(("authenticator", "ticket_authenticator", "ticket"), value.subterms, strict=True))
        elif message != "payload":
            self.sent.setdefault("data" if message == "data" else "Init", value)

    @property
    def schedule(self) -> KeySchedule[Term]:
        """Complete once both Inits are known."""
        return present(self.local.schedule)


class ModelWorld:
    """Two parties, as a script's first handshake has them, and their stores of tickets."""

    def __init__(
        self, words: Dictionary, run: HonestRun, client: Place, server: Place, holder: Role | None = None
    ) -> None:
        """`holder`: who keeps its tickets for all its replicas."""
        self._words, self._run, self._holder = words, run, holder
        self._algebra = SymbolicAlgebra()
        self._machine: Machine[Term] = Machine(self._algebra)
        self._places = places = (client, server)
        self._root = words.term(run.value(*client, "root"))
        self._certificates = [words.term(run.value(*place, "certificate")) for place in places]
        self._keys = [words.term(run.value(*place, "dhKey")) for place in places]
        self._views = [self._algebra.certificate(certificate) for certificate in self._certificates]
        self._stores = [
            Resumption(
                ResumptionKeys(
                    words.resumption_id(view.identity), ((EPOCH, words.term(run.value(*place, "resumptionKey"))),)
                ),
                TicketCache(),
                UsedSecrets(),
                forward_secret_server_tickets=True,
            )
            for place, view in zip(places, self._views, strict=True)
        ]

    def handshake(self, client: Place, server: Place) -> tuple[ModelEnd, ModelEnd, list[str]]:
        """Both ends of a handshake with the nonces, keys and salts of two connections; and the claims in order."""
        records = self._words.list(self._run.value(*client, "protocols"))
        for number, place in enumerate((client, server)):
            if place[0] != self._places[number][0]:
                # Another replica: it shares the resumption key, and no more than that.
                store = self._stores[number]
                cache = store.cache if _ROLES[number] == self._holder else TicketCache()
                self._stores[number] = replace(store, cache=cache, used=UsedSecrets())
        ends = [self._end(number, place, records) for number, place in enumerate((client, server))]
        claims: list[str] = []

        def step(number: int, input_name: str, payload: Term | None = None) -> list[tuple[int, str, Term]]:
            one = ends[number]
            outcome = self._machine.step(one.local, input_name, payload, self._stores[number])
            if outcome.failure is not None:
                raise Untranslated(f"a handshake that the model refuses: {input_name}: {outcome.failure.refusal}")
            one.local = outcome.local
            one.claims += outcome.claims
            claims.extend(claim.name for claim in outcome.claims)
            for message, value in outcome.outputs:
                one.note(message, value)
            return [(1 - number, message, value) for message, value in outcome.outputs]

        waiting = step(0, "start")
        while waiting:
            receiver, message, value = waiting.pop(0)
            waiting += step(receiver, INPUT_OF_MESSAGE[message], value)
        for number, payload in enumerate(("payload", "answer")):
            own, peer = self._views[number].identity, self._views[1 - number].identity
            step(number, "send", name(f"{payload} of {own} to {peer}"))
        return ends[0], ends[1], claims

    def _end(self, number: int, place: Place, records: tuple[str, ...]) -> ModelEnd:
        role, words = _ROLES[number], self._words
        policy = tuple(PolicyRule(f"authority/{view.category}", view.category, "**") for view in self._views)
        targets = frozenset({self._views[1].identity}) if role == "client" else frozenset[str]()
        party = Party(
            self._certificates[number],
            self._views[number],
            self._keys[number],
            Trust({verification_key_id(self._root): self._root}, policy, frozenset(), NOW, targets),
            words.ciphers,
            records if role == "client" else IMPLEMENTED_RECORD_PROTOCOLS,
            APPLICATIONS,
            RPC,
            FRAME_SIZE,
            words.term(self._fresh(place, f"{role}Nonce")),
            self._randomness(place, role),
        )
        return ModelEnd(role, self._machine.initial(role, party))

    def _own(self, place: Place, variable: str) -> Value | None:
        """What a connection itself has bound, under its name in a full or a resumed handshake."""
        scope = self._run.bound[place[0]][place[1]]
        return scope.get(variable) or scope.get(f"resumed{variable[0].upper()}{variable[1:]}")

    def _fresh(self, place: Place, *variables: str) -> Value:
        """A name that this very copy made."""
        for variable in variables:
            value = self._own(place, variable)
            if value is not None:
                if not is_fresh(value, place[0]):
                    raise Untranslated(f"{variable} of {place}, which is not fresh: {value}")
                return value
        raise Untranslated(f"a handshake without {variables[0]}")

    def _randomness(self, place: Place, role: Role) -> Randomness[Term]:
        """What an end draws: its ephemeral key, ML-KEM's values beside it, and the salt of a ticket."""
        drawn = self._fresh(place, "ephemeral", f"{role}Ephemeral")
        mine = self._own(place, "mine")
        salts: tuple[Term, ...] = ()
        if mine is not None and mine.label == "someTicket":
            # Contents that a script leaves out give their name to a salt.
            salts = (self._words.term(mine.args[0].args[0] if mine.args[0].label == "tuple" else mine.args[0]),)
        return Randomness((self._words.term(drawn),), (seed_beside(drawn),), (encapsulation_beside(drawn),), salts)
