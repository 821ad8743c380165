"""Sequences of connections between processes: for vectors of ciphers and of resumption (SPEC 7.2, 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from alts_model.ciphers import CIPHERS, HYBRID, KCI, PFS, STATIC
from alts_model.endpoint import ConcreteEndpoint, Payload
from alts_model.stores import Resumption
from alts_model.tables import Role

from . import _settings
from ._case import Group, Why, hexes
from ._files import Json
from ._handshakes import Move, completed_json, failed_of
from ._key_schedule import VALUE_NAMES
from ._world import CLIENT, SERVER, WORKLOAD, Chain, World
from .target import EndpointSettings, Randomness, ResumptionSettings

ALL: Final = (STATIC, PFS, KCI, HYBRID)
RESUMABLE: Final = (STATIC, PFS, HYBRID)
MODES: Final = {1: "full", 2: "client_ticket", 3: "server_ticket"}
_ROLES: Final[tuple[Role, Role]] = ("client", "server")


class Realm(World):
    """A world whose certificates list all ciphers, with the fresh values that they need."""

    def everything(self, identity: str, number: int, category: int = WORKLOAD) -> Chain:
        """An honest chain that lists all ciphers."""
        listed = {"handshake_ciphers": ALL}
        return self.chain(identity, category, number).but(master=listed, handshake=listed)

    def end(self, role: Role, name: str, ciphers: Sequence[str], **changes: Any) -> EndpointSettings:
        """An end whose fresh values follow from `name`, no more of them than it needs."""
        identity, number = (CLIENT, 1) if role == "client" else (SERVER, 2)
        usual: dict[str, Any] = {"handshake_ciphers": tuple(ciphers), "randomness": self.fresh(role, name, ciphers)}
        if role == "client":
            usual["target_identities"] = frozenset({SERVER})
        chain = changes.pop("chain", None) or self.everything(identity, number)
        return self.settings(chain, f"{role} {name}", **{**usual, **changes})

    def fresh(self, role: Role, name: str, ciphers: Sequence[str]) -> Randomness:
        """Private keys for the shares of a client, or the one that a server may need; a salt."""
        shared = [cipher for cipher in ciphers if CIPHERS[cipher].client_share]
        hybrid = HYBRID in shared
        if role == "server":
            shared = shared[:1]

        def derive(what: str) -> bytes:
            return self.derive(f"{what} {role} {name}")

        return Randomness(
            tuple(derive(f"ephemeral {index}") for index in range(len(shared))),
            (derive("d") + derive("z"),) if hybrid and role == "client" else (),
            (derive("encapsulation"),) if hybrid and role == "server" else (),
            (derive("salt"),),
        )

    def process(self, role: Role, *epochs: int, forward_secret: bool = True) -> ResumptionSettings:
        """Resumption keys of the usual client or server; without epochs a process that only holds tickets."""
        keys = tuple((epoch, self.derive(f"resumption key {epoch} {role}")) for epoch in epochs)
        return ResumptionSettings(self.derive(f"IDR {role}")[:16] if epochs else b"", keys, forward_secret)


@dataclass
class Script:
    """Processes and what happened between them so far. `endpoints` is the table of the file."""

    realm: Realm
    endpoints: dict[str, Json]
    name: str
    processes: dict[str, ResumptionSettings]
    stores: dict[str, Resumption[bytes]] = field(default_factory=dict)
    connections: list[Json] = field(default_factory=list)
    values: list[Json] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)
    moves: list[list[Move]] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        for name, settings in self.processes.items():
            self.stores[name] = _settings.resumption_to_model(settings)

    def end(self, role: Role, process: str, settings: EndpointSettings) -> ConcreteEndpoint:
        """An end in a process; the empty name: in none."""
        return ConcreteEndpoint(role, _settings.to_model(settings, self.stores[process] if process else None))

    def settings(self, role: Role, ciphers: Sequence[str], changes: Mapping[str, Any]) -> EndpointSettings:
        """Fresh settings."""
        return self.realm.end(role, f"{self.name} {self.count}", ciphers, **changes)

    def named(self, role: Role, settings: EndpointSettings) -> str:
        """The name of settings in the file's table."""
        data = _settings.to_json(settings)
        names = (f"{role}-{self.name.replace(' ', '-')}-{number}" for number in count(1))
        name = next(name for name in names if self.endpoints.get(name, data) == data)
        self.endpoints[name] = data
        return name

    def connect(
        self,
        client: str,
        server: str,
        ciphers: Sequence[str],
        mode: str,
        *,
        allowed: Sequence[str] = (),
        at_client: Mapping[str, Any] | None = None,
        at_server: Mapping[str, Any] | None = None,
    ) -> None:
        """A whole connection, which must come out in `mode`."""
        self.count += 1
        settings: dict[Role, EndpointSettings] = {
            "client": self.settings("client", ciphers, at_client or {}),
            "server": self.settings("server", allowed or ciphers, at_server or {}),
        }
        one, other = self.end("client", client, settings["client"]), self.end("server", server, settings["server"])
        moves = [Move("client", "start", one.start())]
        step = other.receive(moves[0].wire)
        assert failed_of(step.events) is None, (self.name, step.events)
        moves.append(Move("server", "reply", step.output))
        step = one.receive(step.output)
        assert failed_of(step.events) is None, (self.name, step.events)
        moves.append(Move("client", "reply", step.output))
        completed = {"client": step.events[0], "server": other.receive(step.output).events[0]}
        for by, to, text in ((one, other, b"question"), (other, one, b"answer")):
            moves.append(Move(by.role, "send", by.send(text), text))
            assert to.receive(moves[-1].wire).events == (Payload(text),)
        self.moves.append(moves)
        self.connections.append(
            {
                "clientProcess": client,
                "client": self.named("client", settings["client"]),
                "serverProcess": server,
                "server": self.named("server", settings["server"]),
                "moves": [move.json() for move in moves],
            }
        )
        found = {role: {**completed_json(event), "mode": MODES[event.mode]} for role, event in completed.items()}  # type: ignore[arg-type, union-attr]  # both completed
        assert {value["mode"] for value in found.values()} == {mode}, (self.name, found)
        self.results.append(found)
        ours, theirs = one.secrets.values, other.secrets.values
        assert all(ours[key] == theirs[key] for key in ours.keys() & theirs.keys()), self.name
        terms = CIPHERS[found["client"]["handshakeCipher"]].material(mode != "full")
        self.values.append(_intermediate({**ours, **theirs}, found, terms))

    def input(self) -> Json:
        """So far, as in the file."""
        return {
            "processes": {name: _settings.resumption_to_json(known) for name, known in self.processes.items()},
            "connections": self.connections,
        }

    def add(self, group: Group, name: str, why: Why) -> None:
        """A case of what happened."""
        group.add(
            name,
            why,
            input=self.input(),
            intermediate={"connections": self.values},
            result={"verdict": "valid", "connections": self.results},
        )

    def script(
        self, role: Role, process: str, settings: EndpointSettings, acts: Sequence[tuple[str, bytes]]
    ) -> tuple[Json, Any]:
        """Do something to one more end; the input of the case, and the failure if there was one."""
        end = self.end(role, process, settings)
        steps, failed = [], None
        for action, data in acts:
            assert failed is None
            output = b""
            if action == "start":
                output = end.start()
            else:
                step = end.receive(data)
                output, failed = step.output, failed_of(step.events)
            steps.append(
                {"action": action, "data": data.hex(), "output": output.hex(), "state": end.state, "payload": ""}
            )
        given = {
            **self.input(),
            "role": role,
            "process": process,
            "endpoint": self.named(role, settings),
            "steps": steps,
        }
        return given, failed


def refusal_result(failed: Any, steps: Sequence[Json]) -> Json:
    """The result of a refused script."""
    alert = bytes.fromhex(steps[-1]["output"])
    return {
        "verdict": "invalid",
        "error": failed.name,
        "code": failed.code,
        "state": failed.state,
        "alertSent": alert[-1] if alert else None,
        "alertReceived": failed.alert_code,
    }


def _intermediate(values: Mapping[str, bytes], found: Mapping[str, Json], terms: Sequence[str]) -> Json:
    """Every value between the two Inits and the record secret, and inside tickets."""
    schedule = {name: values[key].hex() for key, name in VALUE_NAMES.items() if name != "sharedSecret"}
    tickets = {}
    for role in _ROLES:
        if f"{role}_ticket" in values:
            names = ("secret", "salt", "key", "aad", "plaintext")
            tickets[role] = {
                **hexes({name: values[f"{role}_ticket_{name}"] for name in names}),
                "ticket": values[f"{role}_ticket"].hex(),
            }
    return {
        "clientIdentity": found["server"]["peerIdentity"],
        "serverIdentity": found["client"]["peerIdentity"],
        "clientInit": values["client_init"].hex(),
        "serverInit": values["server_init"].hex(),
        "terms": {name: values[name].hex() for name in terms},
        "keyMaterial": values["shared_secret"].hex(),
        **schedule,
        "tickets": tickets,
    }
