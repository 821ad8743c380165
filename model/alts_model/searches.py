"""The searches about handshake ciphers and resumption: small worlds, each with what must or must not be found in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from alts_model.ciphers import HYBRID, KCI, PFS, STATIC
from alts_model.scenario import BACKEND, FRONTEND, Scenario, SessionPlan
from alts_model.tables import Role

ALL: Final = (STATIC, PFS, KCI, HYBRID)

_NOBODY: Final = frozenset[str]()


def _plan(
    name: str,
    identity: str,
    process: str = "",
    *,
    memory: str = "",
    late: bool = False,
    targets: frozenset[str] = _NOBODY,
) -> SessionPlan:
    role: Role = "client" if name.startswith("c") else "server"
    if process.startswith("frontend") and not targets:
        targets = frozenset({BACKEND})  # whoever names nobody offers no ticket (SPEC.md 12.1)
    return SessionPlan(name, role, identity, targets, process, memory or process, late)


def _short(ciphers: tuple[str, ...]) -> str:
    return "+".join(name.removeprefix("X25519_").removesuffix("_SHA256") for name in ciphers)


def _pair(sessions: int = 1) -> tuple[SessionPlan, ...]:
    clients = [_plan(f"c{index}", FRONTEND, f"client {index}") for index in range(1, sessions + 1)]
    servers = [_plan(f"s{index}", BACKEND, f"server {index}") for index in range(1, sessions + 1)]
    return (*clients, *servers)


def cipher_scenarios() -> tuple[Scenario, ...]:
    """Every cipher with nothing stolen, with a victim's key stolen (KCI), and with keys that leak later (HS-10)."""
    found = []
    for cipher in ALL:
        name, many = _short((cipher,)), _pair(2)
        if cipher == HYBRID:
            found.append(Scenario(name, f"{cipher} alone", _pair(), (cipher,), arsenal=False))
            continue
        text = f"{cipher} alone, two clients and a server"
        found.append(Scenario(name, text, many[:3], (cipher,), arsenal=False))
        text = f"{cipher} alone, a client and two servers"
        found.append(Scenario(f"{name}, two servers", text, (many[0], *many[2:]), (cipher,), arsenal=False))
    for ciphers, violated in (
        *(((cipher,), None if cipher == KCI else "agreement") for cipher in ALL),
        ((KCI, STATIC), "agreement"),
    ):
        for victim, peer in ((FRONTEND, BACKEND), (BACKEND, FRONTEND)):
            found.append(
                Scenario(
                    f"{_short(ciphers)}, key of {victim} stolen",
                    f"the attacker has the static key of {victim}, and wants to be {peer} to it (TRADE-1, TRADE-2)",
                    _pair(),
                    ciphers,
                    stolen=(f"static key of {victim}",),
                    arsenal=False,
                    trusted=(peer,),
                    violated=violated,
                    requirements=("TRADE-2",) if KCI in ciphers else ("TRADE-1",),
                )
            )
    for cipher in ALL:
        found.append(
            Scenario(
                f"{_short((cipher,))}, static keys leak",
                "static keys of all leak when sessions have completed (HS-10, TRADE-4)",
                _pair(),
                (cipher,),
                leaked=("static keys",),
                arsenal=False,
                violated="secrecy" if cipher == STATIC else None,
                requirements=("TRADE-4",) if cipher == STATIC else ("HS-10",),
            )
        )
        found.append(
            Scenario(
                f"{_short((cipher,))}, all X25519 keys are opened",
                "static and ephemeral X25519 keys of all are opened later, as by a quantum computer",
                _pair(),
                (cipher,),
                leaked=("static keys", "ephemerals"),
                arsenal=False,
                violated=None if cipher == HYBRID else "secrecy",
            )
        )
        if cipher != STATIC:
            found.append(
                Scenario(
                    f"{_short((cipher,))}, ephemeral keys stolen",
                    "the attacker has the ephemeral keys of all",
                    _pair(),
                    (cipher,),
                    stolen=("ephemerals",),
                    arsenal=False,
                )
            )
    return tuple(found)


def early_secrecy_scenarios() -> tuple[Scenario, ...]:
    """Why the server sends nothing before ClientFinished (HS-9): its M is not forward secret before."""
    return tuple(
        replace(
            scenario,
            name=f"{scenario.name}, M at a waiting server",
            violated="early secrecy",
            requirements=("HS-9", "HS-10"),
        )
        for scenario in cipher_scenarios()
        if scenario.leaked == ("static keys",) and scenario.ciphers != (STATIC,)
    )


def _replicas(shared: bool) -> tuple[SessionPlan, ...]:
    """c1 and s1 run honestly; then a client of the same process, one of another replica, and two replicas' servers."""
    memory = "all servers" if shared else ""
    return (
        _plan("c1", FRONTEND, "frontend 1"),
        _plan("s1", BACKEND, "backend 1", memory=memory),
        _plan("c2", FRONTEND, "frontend 1"),
        _plan("s2", BACKEND, "backend 1", memory=memory),
        _plan("s3", BACKEND, "backend 2", memory=memory),
    )


_TICKETS: Final = ("RES-2", "RES-3", "RES-4", "RES-5", "RES-6", "RES-7")


def resumption_scenarios() -> tuple[Scenario, ...]:
    """Tickets in both directions between replicas; see the text of each."""
    prelude = ("c1", "s1")
    base = Scenario("", "", (), resumption=True, arsenal=False, requirements=_TICKETS)
    found = [
        replace(
            base,
            name="replicas that share their memory",
            text="after an honest handshake: a client with its ticket, two replicas of the server, one used-memory",
            sessions=_replicas(shared=True),
            prelude=prelude,
        ),
        replace(
            base,
            name="replicas, each with its own memory",
            text="the same, but each replica remembers for itself",
            sessions=_replicas(shared=False),
            prelude=prelude,
        ),
        replace(
            base,
            name="two clients of one process",
            text="after an honest handshake: two clients that could use one ticket, two replicas of the server",
            sessions=(
                _plan("c1", FRONTEND, "frontend 1"),
                _plan("s1", BACKEND, "backend 1"),
                _plan("c2", FRONTEND, "frontend 1"),
                _plan("c3", FRONTEND, "frontend 1"),
                _plan("s2", BACKEND, "backend 2"),
                _plan("s3", BACKEND, "backend 3"),
            ),
            prelude=prelude,
            outsider=True,
        ),
        replace(
            base,
            name="two clients of two replicas",
            text="after an honest handshake: the process that holds a ticket, another replica of it, both servers",
            sessions=(
                _plan("c1", FRONTEND, "frontend 1"),
                _plan("s1", BACKEND, "backend 1"),
                _plan("c2", FRONTEND, "frontend 1"),
                _plan("c3", FRONTEND, "frontend 2"),
                _plan("s2", BACKEND, "backend 1"),
            ),
            prelude=prelude,
        ),
        replace(
            base,
            name="tickets in flight",
            text="nothing has run before: an outsider is there when tickets are made, and when they are used",
            outsider=True,
            sessions=(
                _plan("c1", FRONTEND, "frontend 1"),
                _plan("s1", BACKEND, "backend 1"),
                _plan("c2", FRONTEND, "frontend 1"),
                _plan("s2", BACKEND, "backend 1"),
            ),
        ),
        REFLECTION,
    ]
    for cipher in (PFS, HYBRID):
        found.append(
            replace(
                base,
                name=f"{_short((cipher,))} resumed",
                text="after an honest handshake: a client, and a server that holds its ticket",
                sessions=(
                    *_pair_of_processes(),
                    _plan("c2", FRONTEND, "frontend 1"),
                    _plan("s2", BACKEND, "backend 1"),
                ),
                ciphers=(cipher,),
                prelude=prelude,
            )
        )
    return (*found, *later_scenarios(), *leak_scenarios())


def _pair_of_processes() -> tuple[SessionPlan, ...]:
    return _plan("c1", FRONTEND, "frontend 1"), _plan("s1", BACKEND, "backend 1")


REFLECTION: Final = Scenario(
    "reflection",
    "a server whose identity also runs a client: c2 can open what s1 has sealed",
    (
        _plan("c1", FRONTEND, "frontend 1", targets=frozenset({BACKEND})),
        _plan("s1", BACKEND, "backend 1"),
        _plan("c2", BACKEND, "backend 2"),
        _plan("s2", BACKEND, "backend 1"),
    ),
    resumption=True,
    arsenal=False,
    requirements=("RES-2", "RES-3"),
)

OUTSIDE_REFLECTION: Final = replace(REFLECTION, name="reflection by an outsider", outsider=True)
"""The same for an attacker without an identity; small enough to be searched with six checks left out."""

LATER: Final = ("life", "authority", "policy", "revocation", "target")
"""What may have changed between the making of a ticket and its use."""


_LATER_IDS: Final = {"revocation": ("REVOKE-6",), "policy": ("POLICY-2",), "target": ("TRUST-2",)}


def later_scenarios() -> tuple[Scenario, ...]:
    """After an honest handshake something has changed that makes its tickets useless (REVOKE-6, POLICY-2)."""
    targets = frozenset({"prod/other"})
    return tuple(
        Scenario(
            f"later: {what}",
            f"after an honest handshake the {what} has changed for c2 and s2",
            (
                *_pair_of_processes(),
                _plan("c2", FRONTEND, "frontend 1", late=True, targets=targets if what == "target" else _NOBODY),
                _plan("s2", BACKEND, "backend 1", late=True, targets=targets if what == "target" else _NOBODY),
            ),
            resumption=True,
            arsenal=False,
            prelude=("c1", "s1"),
            later=what,
            requirements=("RES-8", *_LATER_IDS.get(what, ())),
        )
        for what in LATER
    )


def leak_scenarios() -> tuple[Scenario, ...]:
    """Resumption keys or static keys of the past in the hands of the attacker (TRADE-1, TRADE-4, HS-10)."""
    resumed = (*_pair_of_processes(), _plan("c2", FRONTEND, "frontend 1"), _plan("s2", BACKEND, "backend 1"))
    base = Scenario("", "", resumed, resumption=True, arsenal=False, prelude=("c1", "s1"), requirements=("TRADE-4",))
    late = (
        *_pair_of_processes(),
        _plan("c2", FRONTEND, "frontend 2", late=True),
        _plan("s2", BACKEND, "backend 2", late=True),
    )
    return (
        replace(
            base,
            name="resumption key of the server stolen",
            text="whoever has the maker's resumption key is anybody to it (TRADE-1)",
            stolen=(f"resumption keys of {BACKEND}",),
            trusted=(FRONTEND,),
            violated="agreement",
            requirements=("TRADE-1",),
        ),
        replace(
            base,
            name="resumption key of the client stolen",
            text="the same for the maker of client-made tickets",
            stolen=(f"resumption keys of {FRONTEND}",),
            trusted=(BACKEND,),
            violated="agreement",
            requirements=("TRADE-1",),
        ),
        replace(
            base,
            name="STATIC, resumption keys leak after the first handshake",
            text="the payload of a full handshake does not depend on resumption keys",
            sessions=_pair_of_processes(),
            leaked=("resumption keys",),
        ),
        replace(
            base,
            name="STATIC resumed, resumption keys leak",
            text="a resumed session without forward secrecy is open to whoever gets the resumption keys later",
            leaked=("resumption keys",),
            violated="secrecy",
        ),
        replace(
            base,
            name="PFS resumed, everything leaks",
            text="with forward secrecy a resumed session has it too (HS-10)",
            ciphers=(PFS,),
            leaked=("static keys", "resumption keys"),
            requirements=("HS-10", "RES-6"),
        ),
        *(
            replace(
                base,
                name=f"PFS, rotated keys leak, {'server-made tickets allowed' if early else 'as specified'}",
                text="static keys leak after their rotation; c2 and s2 begin then, with new ones (12.4)",
                sessions=late,
                ciphers=(PFS,),
                prelude=(),
                leaked=("static keys",),
                early_tickets=early,
                outsider=True,
                violated="agreement" if early else None,
                requirements=("HS-10",),
            )
            for early in (False, True)
        ),
    )


SEARCHES: Final = ("ciphers", "resumption")
"""Names of the families of scenarios here; `handshake` is that of `scenario.py`."""


def family(name: str) -> tuple[Scenario, ...]:
    """The scenarios of one family."""
    if name == "ciphers":
        return (*cipher_scenarios(), *early_secrecy_scenarios())
    return resumption_scenarios()


def scenarios_of(names: frozenset[str]) -> tuple[Scenario, ...]:
    """The scenarios with these names."""
    return tuple(scenario for search in SEARCHES for scenario in family(search) if scenario.name in names)
