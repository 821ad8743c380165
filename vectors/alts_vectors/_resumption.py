"""Vectors of resumption (SPEC 12): sessions in each mode with each cipher, fallback, and what must be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from alts_model.ciphers import KCI, PFS, STATIC
from alts_model.codec import frame
from alts_model.primitives import hmac_sha256
from alts_model.tables import Role

from . import _wire
from ._case import Group, Why, document
from ._ciphers import SHORT
from ._files import Json
from ._sessions import MODES, RESUMABLE, Realm, Script, refusal_result
from ._world import NOW, SERVER, WORKLOAD
from .target import ResumptionSettings

_SPEC = ("12.1", "12.6")
TICKET_OF_CLIENT, TICKET_OF_SERVER, FINISHED_TICKET = 12, 11, 3
"""Field numbers of `ticket` in ClientInit, ServerInit and the Finished messages."""
_DAY = 86400


class _Maker:
    """What all cases are made with."""

    def __init__(self, seed: str) -> None:
        self.realm = Realm(seed)
        self.endpoints: dict[str, Json] = {}
        comment = "Sequences of connections that complete; `mode` says how each session came about."
        self.good = Group("resumption", comment)
        self.answers = Group("resumption_answer", "What a server answers: `result.mode` is the mode of its ServerInit.")
        self.bad = Group("resumption_refused", "What an endpoint must refuse after the connections before it.")

    def script(self, name: str, mode: str = "both", **more: Any) -> Script:
        """A client and a server; in `client_ticket` only the server makes tickets, in `server_ticket` the client."""
        both = {
            "c": self.realm.process("client", *((1,) if mode != "client_ticket" else ())),
            "s": self.realm.process("server", *((1,) if mode != "server_ticket" else ())),
        }
        return Script(self.realm, self.endpoints, name, {**both, **more})

    def answer(
        self, name: str, why: Why, script: Script, first: bytes, mode: int, process: str = "s", **more: Any
    ) -> None:
        """A server gets a ClientInit and answers in a mode."""
        script.count += 1
        settings = script.settings("server", (STATIC,), more)
        given, failed = script.script("server", process, settings, [("receive", first)])
        assert failed is None, (name, failed)
        flight = bytes.fromhex(given["steps"][0]["output"])
        assert _wire.get(flight[8 : 4 + int.from_bytes(flight[:4], "little")], 3) == bytes([mode]), name
        self.answers.add(name, why, input=given, result={"verdict": "valid", "mode": MODES[mode]})

    def refuse(
        self,
        name: str,
        why: Why,
        script: Script,
        role: Role,
        acts: Sequence[tuple[str, bytes]],
        error: str,
        *,
        process: str = "",
        ciphers: Sequence[str] = (STATIC,),
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        """A script that ends in an error."""
        script.count += 1
        settings = script.settings(role, ciphers, changes or {})
        given, failed = script.script(role, process or role[0], settings, acts)
        assert failed is not None, name
        assert failed.name == error, (name, failed)
        self.bad.add(name, why, input=given, result=refusal_result(failed, given["steps"]))


def generate(seed: str) -> Json:
    """The file `resumption`."""
    make = _Maker(seed)
    _chains(make)
    _fallbacks(make)
    _answers(make)
    _refusals(make)
    return document(
        "resumption",
        seed,
        "Sequences of connections between processes. Each process starts with no ticket and no memory, and the ends in "
        "it share both. `keys` are resumption keys by epoch; a process without keys makes no tickets. A case with "
        "`steps` does something to one more end after them.",
        [make.good, make.answers, make.bad],
        make.endpoints,
    )


def _chains(make: _Maker) -> None:
    for cipher in RESUMABLE:
        for mode in ("client_ticket", "server_ticket"):
            name = f"{SHORT[cipher]}-{mode.replace('_', '-')}"
            script = make.script(name, mode)
            script.connect("c", "s", (cipher,), "full")
            script.connect("c", "s", (cipher,), mode)
            script.connect("c", "s", (cipher,), mode)
            reason = "R of each session leads to the next: R, R', R''. Every secret of every session is fresh."
            ids: tuple[str, ...] = ("RES-1", "RES-2", "RES-3" if mode == "server_ticket" else "RES-4", "RES-6")
            ids += ("HS-10",) if cipher != STATIC else ()
            spec = ("12.1", "12.2", "12.3", "12.4", "7.2")
            script.add(make.good, name, Why(f"{cipher}, three sessions, {mode}", reason, ids, spec, ("Honest",)))
    script = make.script("both-make-tickets")
    for mode in ("full", "client_ticket", "client_ticket"):
        script.connect("c", "s", (STATIC,), mode)
    why = Why("both ends make tickets", "The client's ticket wins.", ("RES-3", "RES-4"), ("12.1", "12.3"), ("Honest",))
    script.add(make.good, "both-make-tickets", why)
    for mode, process in (("client_ticket", "server"), ("server_ticket", "client")):
        role: Role = "server" if process == "server" else "client"
        script = make.script(f"replica-{mode}", mode, replica=make.realm.process(role, 1))
        script.connect("c", "s", (STATIC,), "full")
        script.connect(*(("c", "replica") if role == "server" else ("replica", "s")), (STATIC,), mode)
        reason = "It has the resumption key and never saw the first session: that is what tickets are for."
        name = f"replica-{mode.replace('_', '-')}"
        script.add(
            make.good, name, Why(f"a replica of the {role}", reason, ("RES-5", "CRED-3", "ISSUE-9"), _SPEC, ("Honest",))
        )
    rotated = make.realm.process("server", 1, 2)
    script = make.script("rotated", "client_ticket", replica=rotated)
    for process, mode in (("s", "full"), ("replica", "client_ticket"), ("replica", "client_ticket")):
        script.connect("c", process, (STATIC,), mode)
    why = Why(
        "a ticket of epoch 1 at a replica with epochs 1 and 2, and the new one",
        "Rotation overlaps: old tickets open, new ones are sealed under the newest epoch.",
        ("CRED-3", "CRED-6", "RES-5"),
        ("12.2",),
        ("Honest",),
    )
    script.add(make.good, "rotated-keys", why)


def _fallbacks(make: _Maker) -> None:
    """Nothing wrong, but no resumption: a full handshake, in the same four messages."""
    reason = "Every doubt means a full handshake in the same connection, never an error."
    cases: dict[str, tuple[str, dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
        "expired-at-maker": ("client_ticket", {"at_server": {"now": NOW + _DAY}}, ("RES-8",), (STATIC,)),
        "clock-behind-too-far": ("client_ticket", {"at_server": {"now": NOW - 301}}, ("RES-8",), (STATIC,)),
        "expired-at-holder": ("client_ticket", {"at_client": {"now": NOW + _DAY}}, ("RES-8",), (STATIC,)),
        "held-by-server-expired": ("server_ticket", {"at_server": {"now": NOW + _DAY}}, ("RES-8",), (STATIC,)),
        "other-cipher": ("client_ticket", {}, ("RES-8",), (PFS,)),
        "other-cipher-server-ticket": ("server_ticket", {}, ("RES-8",), (PFS,)),
        "never-with-kci": ("client_ticket", {}, ("TRADE-2",), (KCI, STATIC)),
    }
    for name, (mode, changes, ids, ciphers) in cases.items():
        script = make.script(name, mode)
        script.connect("c", "s", (STATIC,), "full")
        script.connect("c", "s", ciphers, "full", **changes)
        why = Why(f"fallback: {name.replace('-', ' ')}", reason, ids, ("12.5", "12.6", "12.8"), ("Fallback",))
        script.add(make.good, f"fallback-{name}", why)
    script = make.script("fallback-unknown-epoch", "client_ticket", replica=make.realm.process("server", 2))
    script.connect("c", "s", (STATIC,), "full")
    script.connect("c", "replica", (STATIC,), "full")
    why = Why("fallback: the epoch is gone", reason, ("RES-8", "CRED-6"), ("12.2", "12.8"), ("Fallback",))
    script.add(make.good, "fallback-unknown-epoch", why)
    script = make.script("life-last-second", "client_ticket")
    script.connect("c", "s", (STATIC,), "full")
    last = {"now": NOW + _DAY - 1}
    script.connect("c", "s", (STATIC,), "client_ticket", at_client=last, at_server=last)
    why = Why("the last second of a ticket's life", "The bound itself is outside.", ("RES-8",), ("12.5",), ("Honest",))
    script.add(make.good, "life-last-second", why)


def _answers(make: _Maker) -> None:
    """Tickets that a server must not take; and one that a replica answers though it was used elsewhere."""
    script = make.script("presented", "client_ticket")
    script.connect("c", "s", (STATIC,), "full")
    script.connect("c", "s", (STATIC,), "client_ticket")
    resumed = script.moves[1][0].wire
    flag = ("Ticket",)
    used = "Each R is used once: a second use would be a replay."
    make.answer("used-before", Why("a ClientInit again", used, ("RES-7",), ("12.7",), flag), script, resumed, 1)
    fresh = make.script("presented-fresh", "client_ticket")
    fresh.connect("c", "s", (STATIC,), "full")
    held = fresh.end("client", "c", fresh.settings("client", (STATIC,), {}))
    init = held.start()[8:]
    ticket = _wire.get(init, TICKET_OF_CLIENT)
    sealed = _wire.get(ticket, 3)
    turned = _client_made(make)
    changed = {
        "first-bit": bytes([sealed[0] ^ 1]) + sealed[1:],
        "last-bit": sealed[:-1] + bytes([sealed[-1] ^ 1]),
        "salt-swapped": bytes(32) + sealed[32:],
        "cut": sealed[:-1],
        "one-byte": b"t",
        "garbage": b"\xa5" * len(sealed),
        "made-in-the-other-role": turned,
    }
    for name, raw in changed.items():
        message = _wire.put(init, TICKET_OF_CLIENT, _wire.put(ticket, 3, raw))
        reason = "Whatever cannot be opened as exactly what was made means a full handshake, and no error."
        ids = ("RES-2", "RES-8") if "role" not in name else ("RES-2", "RES-3", "RES-4")
        why = Why(f"ticket: {name.replace('-', ' ')}", reason, ids, ("12.2", "12.8"), flag)
        make.answer(f"ticket-{name}", why, fresh, frame("client_init", message), 1)
    for name, message in {
        "other-idr": _wire.put(init, TICKET_OF_CLIENT, _wire.put(ticket, 1, bytes(16))),
        "other-epoch": _wire.put(init, TICKET_OF_CLIENT, _wire.put(ticket, 2, 2)),
        "of-another-identity": _wire.put(init, 3, make.realm.everything("test/third", 9).build()),
    }.items():
        reason = "IDR, epoch, role and identity are bound to the ticket, and the holder named in it is its only one."
        why = Why(f"ticket: {name.replace('-', ' ')}", reason, ("RES-2", "RES-8", "TRUST-2"), ("12.2", "12.6"), flag)
        make.answer(f"ticket-{name}", why, fresh, frame("client_init", message), 1)
    elsewhere = make.script("replayed-elsewhere", "client_ticket", replica=make.realm.process("server", 1))
    elsewhere.connect("c", "s", (STATIC,), "full")
    elsewhere.connect("c", "s", (STATIC,), "client_ticket")
    why = Why(
        "a used ticket at a replica that does not share the memory",
        "It is answered, and the session cannot complete: see the refused case of this name.",
        ("RES-7",),
        ("12.7",),
        flag,
    )
    make.answer("replayed-elsewhere", why, elsewhere, elsewhere.moves[1][0].wire, 2, "replica")


def _client_made(make: _Maker) -> bytes:
    """A ticket that the server's own identity made in the role of a client, under the key that its servers have."""
    realm = make.realm
    script = Script(realm, {}, "turned", {"c": realm.process("server", 1), "s": ResumptionSettings()})
    chain, other = realm.everything(SERVER, 2), realm.everything("test/frontend", 1)
    script.connect(
        "c",
        "s",
        (STATIC,),
        "full",
        at_client={"chain": chain, "target_identities": frozenset()},
        at_server={"chain": other},
    )
    return bytes.fromhex(script.values[0]["tickets"]["client"]["ticket"])


def _refusals(make: _Maker) -> None:
    flag = ("Ticket",)
    start = ("start", b"")

    def attached(name: str, **more: Any) -> tuple[Script, bytes]:
        """A client that makes tickets, and a flight in which the server attaches one."""
        script = make.script(name, "server_ticket", **more)
        script.connect("c", "s", (STATIC,), "full")
        script.connect("c", "s", (STATIC,), "server_ticket")
        return script, script.moves[1][1].wire

    reason = "An attached ticket that is not acceptable today ends this connection; the next one asks for none."
    script, flight = attached("attached-used")
    why = Why("an attached ticket for the second time", reason, ("RES-7", "RES-8"), _SPEC, flag)
    make.refuse("attached-used", why, script, "client", [start, ("receive", flight)], "TICKET_REFUSED")
    number = WORKLOAD << 56 | 0x200
    for name, changes, ids in (
        ("revoked-master", {"revoked": frozenset({number})}, ("REVOKE-6",)),
        ("revoked-handshake", {"revoked": frozenset({number | 1})}, ("REVOKE-6",)),
        ("revoked-own", {"revoked": frozenset({WORKLOAD << 56 | 0x101})}, ("REVOKE-6",)),
        ("revocation-unknown", {"revoked": None}, ("REVOKE-6",)),
        ("policy", {"policy": ()}, ("POLICY-2", "POLICY-3")),
        ("authority", {"trust_anchors": ()}, ("CRED-4",)),
        ("target", {"target_identities": frozenset({"test/other"})}, ("TRUST-2", "TRUST-5")),
        ("expired", {"now": NOW + _DAY}, ("RES-8",)),
        ("from-the-future", {"now": NOW - 301}, ("RES-8",)),
    ):
        script, flight = attached("attached-unused", replica=make.realm.process("client", 1))
        why = Why(f"an attached ticket, {name.replace('-', ' ')}", reason, ids, ("12.6", "12.8"), flag)
        acts = [start, ("receive", flight)]
        make.refuse(
            f"attached-{name}", why, script, "client", acts, "TICKET_REFUSED", process="replica", changes=changes
        )
    script, flight = attached("attached-forged", replica=make.realm.process("client", 1))
    size = 4 + int.from_bytes(flight[:4], "little")
    init, rest = flight[8:size], flight[size:]
    ticket = _wire.get(init, TICKET_OF_SERVER)
    sealed = _wire.get(ticket, 3)
    for name, new, error in (
        ("last-bit", _wire.put(ticket, 3, sealed[:-1] + bytes([sealed[-1] ^ 1])), "TICKET_REFUSED"),
        ("other-epoch", _wire.put(ticket, 2, 2), "TICKET_REFUSED"),
        ("other-idr", _wire.put(ticket, 1, bytes(16)), "ILLEGAL_PARAMETER"),
    ):
        message = frame("server_init", _wire.put(init, TICKET_OF_SERVER, new)) + rest
        why = Why(f"an attached ticket: {name.replace('-', ' ')}", reason, ("RES-2", "RES-8"), _SPEC, flag)
        make.refuse(f"attached-{name}", why, script, "client", [start, ("receive", message)], error, process="replica")
    why = Why(
        "a flight with an attached ticket at another replica, which has not seen it",
        "It is taken as a ticket, but it belongs to other nonces: the server's Finished is not right.",
        ("RES-7", "HS-8"),
        ("12.7",),
        flag,
    )
    make.refuse(
        "attached-replayed", why, script, "client", [start, ("receive", flight)], "BAD_FINISHED", process="replica"
    )
    elsewhere = make.script("replayed-elsewhere-finished", "client_ticket", replica=make.realm.process("server", 1))
    elsewhere.connect("c", "s", (STATIC,), "full")
    elsewhere.connect("c", "s", (STATIC,), "client_ticket")
    moves = elsewhere.moves[1]
    why = Why(
        "a whole recorded client at a replica that does not share the memory",
        "The nonces are fresh and the thief lacks the secret: the replay never completes.",
        ("RES-7", "HS-9"),
        ("12.7",),
        flag,
    )
    acts = [("receive", moves[0].wire), ("receive", moves[2].wire)]
    make.refuse("replayed-elsewhere", why, elsewhere, "server", acts, "BAD_FINISHED", process="replica")
    reason = "What the full handshake would refuse, no ticket brings back."
    for name, changes, error, ids in (
        ("revoked", {"revoked": frozenset({WORKLOAD << 56 | 0x101})}, "CERTIFICATE_REVOKED", ("REVOKE-6",)),
        ("policy", {"policy": ()}, "POLICY_DENIED", ("POLICY-2", "POLICY-3")),
        ("authority", {"trust_anchors": ()}, "UNKNOWN_AUTHORITY", ("CRED-4",)),
        ("target", {"target_identities": frozenset({"test/other"})}, "WRONG_IDENTITY", ("TRUST-2", "TRUST-5")),
        ("certificate-expired", {"now": NOW + 47 * 3600}, "CERTIFICATE_EXPIRED", ("REVOKE-1",)),
    ):
        presented = make.script("presented-anew", "client_ticket")
        presented.connect("c", "s", (STATIC,), "full")
        first = presented.end("client", "c", presented.settings("client", (STATIC,), {})).start()
        why = Why(f"a ticket whose holder is refused today: {name.replace('-', ' ')}", reason, ids, ("12.6",), flag)
        make.refuse(f"presented-{name}", why, presented, "server", [("receive", first)], error, changes=changes)
    _issued(make)


def _issued(make: _Maker) -> None:
    """A right ClientFinished whose ticket is for an IDR that ClientInit did not name."""
    script = make.script("issued-for-another-idr")
    one = script.settings("client", (STATIC,), {})
    script.count += 1
    other = script.settings("server", (STATIC,), {})
    client, server = script.end("client", "c", one), script.end("server", "s", other)
    first = client.start()
    client.receive(server.receive(first).output)
    values = client.secrets.values
    ticket = _wire.join([(1, 2, bytes(16)), (2, 0, b"\x01"), (3, 0, _wire.varint(60)), (4, 2, b"ticket")])
    encoded = b"\x00\x10" + bytes(16) + (1).to_bytes(8, "big") + (60).to_bytes(4, "big") + b"\x00\x06ticket"
    authenticator = hmac_sha256(values["A"], b"openalts v1 client ticket" + encoded)
    finished = _wire.join([(1, 2, values["client_authenticator"]), (2, 2, authenticator), (3, 2, ticket)])
    script.count -= 1
    fresh = replace(script, stores={}, name="issued-for-another-idr")
    why = Why(
        "a ticket for an IDR that the client did not name",
        "The server would file it under a maker that nobody vouched for.",
        ("RES-2", "RES-3"),
        ("5.6", "12.4"),
        ("Ticket",),
    )
    acts = [("receive", first), ("receive", frame("client_finished", finished))]
    make.refuse("issued-for-another-idr", why, fresh, "server", acts, "ILLEGAL_PARAMETER")
