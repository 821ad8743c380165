"""No drift: the honest run of every script is, term by term, the symbolic run of the model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alts_model import tables
from alts_proofs import SCRIPTS, Script, load_manifest
from tests.differential import scripts_runs
from tests.differential.scripts_runs import CLAIMS, FAMILIES, compare, family

pytestmark = pytest.mark.req("HS-13")

MANIFEST = load_manifest()
COMPARED = [script for script in MANIFEST.scripts if not set(scripts_runs.WITHOUT_RUN) & set(script.libraries)]
SOUND = [script for script in COMPARED if not script.file.startswith("twins/")]
TWINS = [script for script in COMPARED if script.file.startswith("twins/")]
SPEC = Path(__file__).resolve().parents[2] / "SPEC.md"

VISIBLE = {
    "checks/direction.pvl": r"server's data\.aead",
    "checks/finished_role.pvl": r"client's authenticator\.hmac\[1\]: openalts v1 server finished in the script",
    "checks/key_identities.pvl": r"client's authenticator\.hmac\[0\]\.expand\[1\]",
    "checks/nonces.pvl": r"no counterpart in the model: (client|server)Nonce of .*, which is not fresh: zeroNonce",
    "checks/server_waits.pvl": r"server: 1 messages more than in the model",
    "checks/static_secret.pvl": r"client's authenticator\.hmac\[0\]\.expand\[0\]\.extract\[1\]",
    "checks/ticket_mac.pvl": r"no counterpart in the model: noMac of 0 arguments",
    "checks/ticket_role.pvl": r"no counterpart in the model: anyRoleName where a string is needed",
    "checks/ticket_secrets.pvl": r"(client|server)'s ticket\.IssuedTicket",
    "checks/transcript.pvl": r"no counterpart in the model: (noShare|resumptionId|prefer) of \d arguments",
}
"""Checks that leave a mark on an honest run when they are removed, and the mark; all others only refuse something."""


def one_for_each_process() -> list[Script]:
    """Scripts that differ in their queries alone have one honest run between them."""
    found: dict[tuple[str, ...], Script] = {}
    for script in SOUND:
        parts = [library for library in script.libraries if not library.startswith("queries/")]
        found.setdefault((*parts, script.path.read_text(encoding="utf-8").partition("\nprocess")[2]), script)
    return list(found.values())


def test_roles_of_scripts_without_a_run_are_compared_elsewhere() -> None:
    compared = {library for script in SOUND for library in script.libraries}
    for script in MANIFEST.scripts:
        if script not in COMPARED:
            own = {one for one in script.libraries if not one.startswith(("queries/", "weakened/"))}
            assert own - set(scripts_runs.WITHOUT_RUN) <= compared, script.file


@pytest.mark.parametrize("script", COMPARED, ids=lambda script: script.file)
def test_every_script_has_a_row(script: Script) -> None:
    assert family(script) is not None, f"{script.file} needs a row in FAMILIES"


def test_rows_are_apart() -> None:
    assert len({row.name for row in FAMILIES}) == len({row.marks for row in FAMILIES}) == len(FAMILIES)
    assert len({row.name for script in SOUND if (row := family(script)) is not None}) >= 6


@pytest.mark.req("HS-1", "HS-3", "HS-5", "HS-6", "HS-7", "HS-8", "HS-9", "RES-2")
@pytest.mark.parametrize("script", one_for_each_process(), ids=lambda script: script.file)
def test_honest_run_is_that_of_the_model(script: Script) -> None:
    assert compare(script) == []


@pytest.mark.req("HS-5", "TRUST-3")
def test_workloads_run_as_machines_do() -> None:
    (script,) = MANIFEST.select(["static_tickets.pv"])
    assert compare(script, "workload") == []


@pytest.mark.parametrize("script", TWINS, ids=lambda script: script.file)
def test_twin_drifts_where_its_removed_check_shows(script: Script) -> None:
    """Nothing else differs: an honest run that fails, or something unknown, would be no mark of the check."""
    marks = [VISIBLE[before] for before, _ in script.replaced if before in VISIBLE]
    found = compare(script)
    assert bool(found) == bool(marks), found
    assert not marks or any(re.match(mark, found[0]) for mark in marks), found


def test_a_script_of_no_family_is_refused() -> None:
    (script,) = MANIFEST.select(["static_tickets.pv"])
    stranger = Script(script.file, script.about, script.libraries[1:-1], (), 1, (), script.root)
    without = tuple(library for library in stranger.libraries if library != "variants/cipher_static.pvl")
    with pytest.raises(LookupError, match="FAMILIES"):
        compare(Script(script.file, script.about, without, (), 1, (), script.root))


def test_unheard_parts_name_fragments_that_exist() -> None:
    used = {library for script in MANIFEST.scripts for library in script.libraries}
    assert set(scripts_runs.UNHEARD) <= used


@pytest.mark.req("HS-2", "HS-8", "HS-9")
def test_claims_are_the_events_of_the_specification() -> None:
    """SPEC.md 2.6 names claims and rows; the tables have them in those rows; every script declares them."""
    clause = re.search(r"\*\*2\.6\*\*(.*)", SPEC.read_text(encoding="utf-8"))
    assert clause is not None
    named = dict(re.findall(r"`(\w+)` \(row `(\w+)`\)", clause.group(1)))
    rows = {row.claim: row.input for role in ("client", "server") for row in tables.TABLES[role] if row.claim}
    assert named == rows
    events = (SCRIPTS / "lib" / "events.pvl").read_text(encoding="utf-8")
    assert set(CLAIMS) <= set(re.findall(r"^event (\w+)\(", events, re.MULTILINE))
