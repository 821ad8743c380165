"""Drift that is planted in a copy of the scripts is noticed, each kind of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alts_proofs import SCRIPTS, load_manifest
from alts_proofs.mutate import Edit, mutated
from tests.differential.scripts_runs import compare

pytestmark = pytest.mark.req("HS-13")

LABELS = [
    "transcriptContext",
    "extractSalt",
    "recordSecretLabel",
    "resumptionSecretLabel",
    "authenticatorLabel",
    "serverFinishedString",
    "clientFinishedString",
    "serverTicketString",
    "clientTicketString",
    "ticketKeyLabel",
    "serverMadeTicket",
    "clientMadeTicket",
    "masterContext",
    "handshakeContext",
    "x25519StaticSha256",
    "encrypting",
]


def differences(tmp_path: Path, *edits: Edit, file: str = "static_tickets.pv") -> list[str]:
    """What the comparison says of a copy of the scripts with some edits."""
    root = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, root)
    for edit in edits:
        path = root / edit.file
        path.write_text(mutated(path.read_text(encoding="utf-8"), edit), encoding="utf-8")
    (script,) = load_manifest().select([file])
    return compare(replace(script, root=root))


def test_an_unchanged_copy_has_no_drift(tmp_path: Path) -> None:
    assert differences(tmp_path) == []


@pytest.mark.parametrize("constant", LABELS)
def test_changed_label(tmp_path: Path, constant: str) -> None:
    file = "lib/certificates.pvl" if constant.endswith("Context") and constant[0] in "mh" else "lib/messages.pvl"
    (line,) = (
        line
        for line in (SCRIPTS / file).read_text(encoding="utf-8").splitlines()
        if line.startswith(f"const {constant}:")
    )
    assert differences(tmp_path, Edit(file, line, line.replace('(* "', '(* "X'))) != []


ORDERS = {
    "transcript: inits": ("checks/transcript.pvl", "init, answer))", "answer, init))", "transcript_hash"),
    "transcript: context last": (
        "checks/transcript.pvl",
        "(transcriptContext, init, answer)",
        "(init, answer, transcriptContext)",
        "transcript_hash",
    ),
    "keys: identities": ("checks/key_identities.pvl", "client, server).", "server, client).", "M"),
    "keys: transcript last": (
        "checks/key_identities.pvl",
        "  (transcript, client, server)",
        "  (client, server, transcript)",
        "",
    ),
    "extract: salt and material": (
        "lib/key_schedule.pvl",
        "hkdfExtract(extractSalt, keyMaterial)",
        "hkdfExtract(keyMaterial, extractSalt)",
        "prk",
    ),
    "ticket: associated data": (
        "variants/tickets.pvl",
        "(role, maker, resumptionId(maker))",
        "(maker, role, resumptionId(maker))",
        "",
    ),
    "ticket: contents": ("variants/tickets.pvl", "(hmac(r, role), peer)", "(peer, hmac(r, role))", ""),
    "ticket: R itself": ("variants/tickets.pvl", "(hmac(r, role), peer)", "(r, peer)", "ticket"),
    "ticket: key from the wrong end": (
        "variants/tickets.pvl",
        "hkdfExtract(salt, keyBytes(resumptionKey))",
        "hkdfExtract(keyBytes(resumptionKey), salt)",
        "ticket",
    ),
    "secrets: M for R": (
        "lib/key_schedule.pvl",
        "letfun recordSecret(prk: Key, info: bitstring) = hkdfExpand(prk, recordSecretLabel, info)",
        "letfun recordSecret(prk: Key, info: bitstring) = hkdfExpand(prk, resumptionSecretLabel, info)",
        "client's M",
    ),
    "master: body": (
        "lib/certificates.pvl",
        "masterBytes(issuer, category, subject, masterKey, id)).",
        "masterBytes(category, issuer, subject, masterKey, id)).",
        "",
    ),
    "Finished: roles": (
        "checks/finished_role.pvl",
        "clientFinishedText() = clientFinishedString.\nletfun serverFinishedText() = serverFinishedString.",
        "clientFinishedText() = serverFinishedString.\nletfun serverFinishedText() = clientFinishedString.",
        "authenticator",
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_swapped_or_exchanged_fields(tmp_path: Path, name: str) -> None:
    file, old, new, where = ORDERS[name]
    found = differences(tmp_path, Edit(file, old, new))
    assert any(where in line for line in found), found


@pytest.mark.parametrize("event", ["ClientStarts", "ServerAccepts", "ClientCompletes", "ServerCompletes"])
def test_renamed_event(tmp_path: Path, event: str) -> None:
    edits = [
        Edit("lib/events.pvl", f"event {event}(", f"event {event}Now("),
        Edit("lib/roles.pvl", f"event {event}(", f"event {event}Now("),
    ]
    root = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, root)
    for path in root.rglob("*.pv*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"event({event}(", f"event({event}Now(").replace(f"inj-{event}", event), "utf-8")
    for edit in edits:
        path = root / edit.file
        path.write_text(mutated(path.read_text(encoding="utf-8"), edit), encoding="utf-8")
    (script,) = load_manifest().select(["static_tickets.pv"])
    assert compare(replace(script, root=root)) != []


def test_moved_event(tmp_path: Path) -> None:
    """ServerAccepts only after the client has completed."""
    line = "  event ServerAccepts(self, client, clientNonce, serverNonce, agreed);\n"
    after = "      event ServerCompletes("
    found = differences(tmp_path, Edit("lib/roles.pvl", line, ""), Edit("lib/roles.pvl", after, f"    {line}{after}"))
    assert any("claims" in one for one in found), found


def test_event_with_other_arguments(tmp_path: Path) -> None:
    old = "event ClientCompletes(self, target, clientNonce, serverNonce, agreed)"
    found = differences(
        tmp_path, Edit("lib/roles.pvl", old, old.replace("clientNonce, serverNonce", "serverNonce, clientNonce"))
    )
    assert any("ClientCompletes" in one for one in found), found


def test_swapped_fields_of_a_message(tmp_path: Path) -> None:
    """Nonce and certificate change places wherever a ClientInit is made or read."""
    found = differences(
        tmp_path,
        Edit("lib/roles.pvl", "clientInit(clientNonce, certificate,", "clientInit(certificate, clientNonce,"),
        Edit(
            "lib/roles.pvl", "clientInit(clientNonce, clientCertificate,", "clientInit(clientCertificate, clientNonce,"
        ),
    )
    assert found != []


def test_ticket_before_its_label(tmp_path: Path) -> None:
    found = differences(
        tmp_path,
        Edit("checks/ticket_mac.pvl", "= hmac(a, (label, ticket)).", "= hmac(a, (ticket, label))."),
        Edit("checks/ticket_mac.pvl", "(mac = hmac(a, (label, ticket)))", "(mac = hmac(a, (ticket, label)))"),
    )
    assert any("ticket_authenticator" in one for one in found), found


def test_unknown_function(tmp_path: Path) -> None:
    found = differences(
        tmp_path,
        Edit("lib/primitives.pvl", "fun sha256(bitstring): bitstring.", "fun sha512(bitstring): bitstring."),
        Edit("checks/transcript.pvl", "sha256(", "sha512("),
    )
    assert found == ["no counterpart in the model: sha512 of 1 arguments"]


def test_reused_nonce(tmp_path: Path) -> None:
    found = differences(
        tmp_path,
        Edit("lib/roles.pvl", "let serverNonce = handshakeNonce() in", "let serverNonce = transcriptContext in"),
    )
    assert any("not fresh" in one for one in found), found


def test_handshake_that_cannot_complete(tmp_path: Path) -> None:
    found = differences(tmp_path, Edit("checks/target.pvl", "(target = server)", "(target <> server)"))
    assert "the honest run fails: a check fails" in found[0], found


def test_a_failure_is_told_whatever_else_differs(tmp_path: Path) -> None:
    """A twin whose removed check shows must not hide that its run does not go on."""
    found = differences(
        tmp_path, Edit("checks/target.pvl", "(target = server)", "(target <> server)"), file="twins/no_nonces.pv"
    )
    assert "the honest run fails: a check fails" in found[0], found


MATERIALS = {
    "pfs_secrecy.pv": ("(ss, ee).", "(ee, ss)."),
    "kci_secrecy.pv": ("(ss, es, se, ee).", "(ss, se, es, ee)."),
    "hybrid_secrecy.pv": ("(ss, ee, k).", "(ss, k, ee)."),
}


@pytest.mark.req("HS-10", "TRADE-2")
@pytest.mark.parametrize("file", MATERIALS)
def test_order_of_the_key_material(tmp_path: Path, file: str) -> None:
    old, new = MATERIALS[file]
    found = differences(tmp_path, Edit("checks/static_secret.pvl", old, new), file=file)
    assert any("prk" in one for one in found), found


CHAINS = {
    "R of the last session for its ticket's secret": (
        "brief/client_side_chain_finish.pvl",
        "insert holdings(self, server, serverMadeSecret(r), ticket);",
        "insert holdings(self, server, keyBytes(r), ticket);",
    ),
    "a ticket for the next session that nobody keeps": (
        "brief/client_side_chain_finish.pvl",
        "  insert holdings(self, server, serverMadeSecret(r), ticket);\n",
        "",
    ),
    "another peer in a new ticket": (
        "brief/client_side_chain_finish.pvl",
        "sealedTicket(resumptionKey, serverMaker(), self, client, serverMadeSecret(r))",
        "sealedTicket(resumptionKey, serverMaker(), self, self, serverMadeSecret(r))",
    ),
}


@pytest.mark.req("RES-2", "RES-4")
@pytest.mark.parametrize("name", CHAINS)
def test_drift_late_in_a_chain(tmp_path: Path, name: str) -> None:
    assert differences(tmp_path, Edit(*CHAINS[name]), file="chain_client_side_agreement.pv") != []


SILENT_CLIENT = "let ClientPayload(self: Identity, server: Identity, m: Key) = 0."
EXTRA = {
    "M after the handshake": (
        "pfs_agreement.pv",
        Edit("brief/silence.pvl", SILENT_CLIENT, SILENT_CLIENT.replace("0.", "out(network, keyBytes(m)).")),
        "client: data is sent",
    ),
    "M in the place of a ticket that nobody makes": (
        "client_side_tickets.pv",
        Edit(
            "brief/resumed_tickets_of_server.pvl",
            "  out(network, hmac(a, clientFinishedText())).",
            "  out(network, hmac(a, clientFinishedText()));\n  out(network, noTicket).",
        ),
        "resumed client: ticket is sent",
    ),
    "a static key beside its certificate": (
        "pfs_agreement.pv",
        Edit("brief/realm.pvl", "  out(network, certificate);", "  out(network, certificate); out(network, dhKey);"),
        "dhKey(session1, session1) is sent outside any handshake",
    ),
    "a record whose text is not what was tagged": (
        "pfs_integrity_only.pv",
        Edit("variants/records_in_clear.pvl", "= (text, hmac(m,", "= (keyBytes(m), hmac(m,"),
        "data",
    ),
    "a record in clear where records are encrypted": (
        "pfs_secrecy.pv",
        Edit(
            "variants/records_encrypted.pvl",
            "= aeadSeal(m, direction, noAssociatedData, text)",
            "= (text, hmac(m, (direction, text)))",
        ),
        "no counterpart in the model: fromClient of 0 arguments",
    ),
    "a record with a tag under nothing that is secret": (
        "pfs_integrity_only.pv",
        Edit("variants/records_in_clear.pvl", "= (text, hmac(m, (direction, text)))", "= (text, hmac(m, text))"),
        "tuple",
    ),
    "a tag of R in a record": (
        "pfs_integrity_only.pv",
        Edit("brief/finish.pvl", "ClientPayload(self, server, m).", "ClientPayload(self, server, r)."),
        "client's data",
    ),
    "a ticket of another owner": (
        "client_side_tickets.pv",
        Edit(
            "brief/resumed_tickets_of_server.pvl",
            "someTicket(contents, resumptionId(self), anyLifetime)",
            "someTicket(contents, resumptionId(client), anyLifetime)",
        ),
        "resumed server's ticket",
    ),
    "a ticket that carries a known name": (
        "client_side_tickets.pv",
        Edit(
            "brief/resumed_tickets_of_server.pvl",
            "let mine = someTicket(contents,",
            "let mine = someTicket(serverNonce,",
        ),
        "no counterpart in the model: nonce where tuple is needed",
    ),
}


@pytest.mark.parametrize("name", EXTRA)
def test_what_the_model_does_not_send(tmp_path: Path, name: str) -> None:
    file, edit, where = EXTRA[name]
    found = differences(tmp_path, edit, file=file)
    assert any(where in line for line in found), found


EVENTS = {
    "R for M": ("pfs_secrecy.pv", "brief/finish.pvl", "ClientDerives(self, server, m, r)", ("m, r", "r, r")),
    "M for R": ("pfs_secrecy.pv", "brief/finish.pvl", "ServerDerives(self, client, m, r)", ("m, r", "m, m")),
    "M for R in the static scripts": (
        "static_secrecy.pv",
        "lib/roles.pvl",
        "ClientDerives(self, target, m, r)",
        ("m, r", "m, m"),
    ),
    "R for M in a resumed session": (
        "client_side_secrecy.pv",
        "brief/resumed_finish.pvl",
        "ResumedServerDerives(self, client, m, r)",
        ("m, r", "r, r"),
    ),
    "keys of another pair": (
        "pfs_secrecy.pv",
        "brief/finish.pvl",
        "ClientDerives(self, server, m, r)",
        ("self, server", "server, self"),
    ),
    "nonces of a ticket": (
        "static_tickets.pv",
        "lib/roles.pvl",
        "ClientMakesTicket(self, target, clientNonce, serverNonce, mine)",
        ("clientNonce, serverNonce", "serverNonce, clientNonce"),
    ),
    "the own ticket for the peer's": (
        "static_tickets.pv",
        "lib/roles.pvl",
        "ClientStoresTicket(self, target, clientNonce, serverNonce, ticket)",
        ("ticket)", "mine)"),
    ),
    "who may do what": (
        "static_agreement.pv",
        "lib/roles.pvl",
        "ServerAllows(self, allowed)",
        ("allowed)", "allowsOnly(encrypting))"),
    ),
    "payload of the other end": (
        "static_payload.pv",
        "lib/payload.pvl",
        "ClientSends(self, peer, text)",
        ("self, peer", "peer, self"),
    ),
    "R itself as what is sealed": (
        "chain_client_side_secrecy.pv",
        "brief/finish_server_ticket_told.pvl",
        "Sealed(self, client, serverMadeSecret(r))",
        ("serverMadeSecret(r)", "keyBytes(r)"),
    ),
    "an opened ticket of the other end": (
        "chain_client_side_secrecy.pv",
        "brief/client_side_told.pvl",
        "Opened(self, client, held)",
        ("self, client", "client, self"),
    ),
    "a ticket held of the other end": (
        "chain_client_side_secrecy.pv",
        "brief/client_side_chain.pvl",
        "Held(self, server, held)",
        ("self, server", "server, self"),
    ),
}
"""Of events that are no claims: script, file, event, and what is exchanged in it."""


@pytest.mark.parametrize("name", EVENTS)
def test_events_with_other_arguments(tmp_path: Path, name: str) -> None:
    file, library, event, (old, new) = EVENTS[name]
    found = differences(tmp_path, Edit(library, f"event {event}", f"event {event.replace(old, new)}"), file=file)
    label = event.partition("(")[0]
    assert found
    assert all(line.startswith(f"{label}: ") for line in found), found


def test_an_event_that_nobody_knows(tmp_path: Path) -> None:
    """It would be in no comparison: a new event needs one."""
    found = differences(
        tmp_path,
        Edit(
            "brief/events.pvl", "event DhKeyStolen(Identity).", "event DhKeyStolen(Identity). event ClientRests(Key)."
        ),
        Edit("brief/finish.pvl", "  ClientPayload(", "  event ClientRests(m);\n  ClientPayload("),
        file="pfs_agreement.pv",
    )
    assert found == ["ClientRests: nothing in the model is compared with it at the client"]
