"""The two interpretations of one machine give the same run; the key schedule against one written by hand."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from alts_model.codec import frame
from alts_model.connection import Local, Outcome
from alts_model.explorer import Explorer
from alts_model.knowledge import Knowledge
from alts_model.machine import Machine
from alts_model.messages import INPUT_OF_MESSAGE, Agreed, present
from alts_model.primitives import x25519
from alts_model.scenario import scenarios
from alts_model.symbolic import SymbolicAlgebra
from alts_model.tables import Role
from alts_model.terms import Term, aead, const, dh, extract, hash_of, name, public, sign, tuple_of
from tests.model.helpers import BACKEND, FRONTEND, client, open_pair, server, split_frames

TYPES = {16: "ClientInit", 17: "ServerInit", 18: "ServerFinished", 19: "ClientFinished", 6: "data"}


def symbolic_run() -> tuple[list[str], list[str], dict[Role, Local[Term]]]:
    """Message names and claims, in order, of an honest handshake and one payload each way; the final states."""
    explorer = Explorer(scenarios(1)[0])
    machine: Machine[Term] = explorer.machine
    locals_ = {plan.role: local for plan, local in zip(explorer.plans, explorer._empty().locals, strict=True)}
    messages: list[str] = []
    claims: list[str] = []
    pending: list[tuple[Role, str, Term | None]] = [("client", "start", None)]

    def note(role: Role, outcome: Outcome[Term]) -> None:
        assert outcome.failure is None
        locals_[role] = outcome.local
        claims.extend(claim.name for claim in outcome.claims)
        for output, payload in outcome.outputs:
            if output != "payload":
                messages.append(output)
                pending.append(("server" if role == "client" else "client", INPUT_OF_MESSAGE[output], payload))

    rounds: tuple[tuple[Role, ...], ...] = ((), ("client", "server"))
    for extra in rounds:
        pending += [(role, "send", name(f"payload of the {role}")) for role in extra]
        while pending:
            role, input_name, payload = pending.pop(0)
            note(role, machine.step(locals_[role], input_name, payload))
    return messages, claims, locals_


def concrete_run() -> tuple[list[str], list[str]]:
    one, other = client(), server()
    flights = [one.start()]
    flights.append(other.receive(flights[0]).output)
    claims = [*one.claims, *other.claims]
    flights.append(one.receive(flights[1]).output)
    claims += one.claims[1:]
    other.receive(flights[2])
    claims += other.claims[1:]
    flights += [one.send(b"payload"), other.send(b"payload")]
    messages = [TYPES[int.from_bytes(part[4:8], "little")] for flight in flights for part in split_frames(flight)]
    return messages, claims


@pytest.mark.req("HS-2", "HS-6", "HS-7", "HS-8", "HS-9")
def test_both_interpretations_give_the_same_run() -> None:
    messages, claims, locals_ = symbolic_run()
    assert (messages, claims) == concrete_run()
    assert claims == ["ClientStarts", "ServerAccepts", "ClientCompletes", "ServerCompletes"]
    assert messages == ["ClientInit", "ServerInit", "ServerFinished", "ClientFinished", "data", "data"]
    assert {local.state for local in locals_.values()} == {"OPEN"}
    assert locals_["client"].schedule == locals_["server"].schedule
    assert locals_["client"].agreed == locals_["server"].agreed


def test_agreed_data_correspond() -> None:
    """The concrete claim's choices and names are the symbolic ones, which differ in identities and values only."""
    _, _, locals_ = symbolic_run()
    symbolic: Agreed[Term] = present(locals_["client"].agreed)
    one, _ = open_pair()
    concrete = present(one._local.agreed)
    assert (symbolic.client, symbolic.server) == (concrete.client, concrete.server)
    assert symbolic.handshake_ciphers == concrete.handshake_ciphers
    assert symbolic.record_protocols == concrete.record_protocols
    assert symbolic.choices == concrete.choices


@pytest.mark.req("HS-5", "HS-7", "HS-9", "RES-2", "REC-6")
def test_key_schedule_written_out_by_hand() -> None:
    """SPEC.md section 7 and 8.2 again, with nothing but hashlib and hmac."""
    one, other = open_pair()
    values = one.secrets.values
    first, second = values["client_init"], values["server_init"]
    transcript = hashlib.sha256(
        b"openalts v1 transcript" + len(first).to_bytes(4, "big") + first + len(second).to_bytes(4, "big") + second
    ).digest()
    assert values["transcript_hash"] == transcript
    server_key = other._local.party.view.x25519_public_key
    shared = x25519(FRONTEND.credential.private_key, server_key)
    prk = hmac.digest(b"openalts v1 handshake", shared, "sha256")
    assert (values["shared_secret"], values["prk"]) == (shared, prk)
    identities = b"\x00\x0dprod/frontend\x00\x0cprod/backend"
    for secret, label, size in (("M", b"record", 128), ("R", b"resumption", 32), ("A", b"authenticator", 32)):
        info = bytes((0, len(label))) + label + transcript + identities
        output = block = b""
        while len(output) < size:
            block = hmac.digest(prk, block + info + bytes((len(output) // 32 + 1,)), "sha256")
            output += block
        assert values[secret] == output[:size]
    A = values["A"]
    empty = bytes(2 + 8 + 4 + 2)
    for role in ("server", "client"):
        assert values[f"{role}_authenticator"] == hmac.digest(A, f"openalts v1 {role} finished".encode(), "sha256")
        text = f"openalts v1 {role} ticket".encode() + empty
        assert values[f"{role}_ticket_authenticator"] == hmac.digest(A, text, "sha256")
    other.send(b"x")
    (record,) = other.secrets.records
    M = values["M"]
    assert record.where.counter == bytes(11) + b"\x80"
    assert record.where.key == hmac.digest(M[:32], bytes(6) + b"\x01", "sha256")[:16]
    assert record.where.nonce == M[32:43] + bytes((M[43] ^ 0x80,))
    assert record.frame == frame("data", record.frame[8:])
    assert BACKEND.credential.private_key not in values.values()


def test_terms_are_hash_consed_and_frozen() -> None:
    x, y = name("x"), name("y")
    assert dh(x, public(y)) is dh(y, public(x))
    assert dh(x, public(y)) is not dh(x, public(x))
    assert tuple_of(x, y) is not tuple_of(y, x)
    with pytest.raises(AttributeError):
        x.op = "const"
    assert (x.depth, tuple_of(x, public(y)).depth) == (1, 3)


def test_the_attacker_takes_apart_and_puts_together() -> None:
    x, y, key, secret = name("x"), name("y"), name("key"), name("secret")
    box = aead(extract(const("salt"), key), const(0), secret)
    knowledge = Knowledge([tuple_of(x, public(y)), box, sign(y, "label", name("body"))])
    assert knowledge.can(dh(x, public(y)))
    assert knowledge.can(hash_of(tuple_of(x, const("anything"))))
    assert knowledge.can(name("body"))
    for term in (y, secret, key, sign(y, "label", x), dh(y, public(key))):
        assert not knowledge.can(term)
    assert not Knowledge([public(x), public(y)]).can(dh(x, public(y)))
    opened = knowledge.extended([key])
    assert opened.can(secret)
    assert not knowledge.can(secret)


def test_symbolic_messages_survive_encoding() -> None:
    explorer = Explorer(scenarios(1)[0])
    algebra = SymbolicAlgebra()
    root = explorer._root()
    message = present(root.locals[0].offered)
    assert algebra.decode_client_init(algebra.encode(message)) == message
