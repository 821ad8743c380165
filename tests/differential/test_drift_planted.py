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
