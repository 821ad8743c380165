"""Each check taken out of a copy of `impl/`, once: the datacenter or a vector notices, and here it is said which.

The checkout is never touched; a change that no longer applies fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Break(NamedTuple):
    """What is changed where; who must notice: `steps` steps of the datacenter with a seed, or a vector."""

    file: str
    old: str
    new: str
    steps: int = 0
    vectors: tuple[str, ...] = ()


BREAKS = {
    "chain": Break(
        "_trust.py",
        "except (InvalidSignature, ValueError):\n        raise",
        "except (InvalidSignature, ValueError):\n        return\n        raise",
        vectors=("certificate_invalid/signature-master-zero", "client_init/certificate-signature"),
    ),
    "policy in full handshakes": Break(
        "_trust.py", "if not trust.policy.allows(owner", "if False and not trust.policy.allows(owner", steps=400
    ),
    "policy on resumption": Break(
        "_resumption.py",
        "if not trust.policy.allows(",
        "if False and not trust.policy.allows(",
        vectors=("resumption_refused/attached-policy",),
    ),
    "CRL in full handshakes": Break(
        "_trust.py",
        "if trust.is_revoked(revocation_id) is not False:",
        "if False:",
        vectors=("certificate_invalid/revoked-master", "resumption_refused/presented-revoked"),
    ),
    "CRL on resumption": Break(
        "_resumption.py",
        "if is_revoked(number) is not False:",
        "if False:",
        vectors=("resumption_refused/attached-revoked-master", "resumption_refused/attached-revoked-own"),
    ),
    "expiry of certificates": Break(
        "_trust.py",
        "if now < not_before or (not_after and now >= not_after):",
        "if False:",
        steps=400,
    ),
    "expiry of tickets": Break(
        "_resumption.py",
        "if not created - CLOCK_SKEW <= now < created + TICKET_LIFETIME:",
        "if False:",
        vectors=("resumption_refused/attached-expired", "resumption_refused/attached-from-the-future"),
    ),
    "ticket role": Break(
        "_tickets.py",
        "    parts = _ROLE[maker], identity",
        '    parts = b"server", identity',
        vectors=("ticket/client", "resumption/static-server-ticket"),
    ),
    "ticket role, when opened": Break(
        "_tickets.py",
        "        raw = _ticket_key(key, salt).decrypt(_NONCE, body, "
        "_associated_data(maker, identity, resumption_id, epoch))",
        "        raw = b''\n"
        "        for role in (maker, *_ROLE):\n"
        "            try:\n"
        "                raw = _ticket_key(key, salt).decrypt(\n"
        "                    _NONCE, body, _associated_data(role, identity, resumption_id, epoch)\n"
        "                )\n"
        "            except InvalidTag:\n"
        "                continue\n"
        "        if not raw:\n"
        "            raise InvalidTag",
        vectors=("ticket_invalid/other-role", "resumption_answer/ticket-made-in-the-other-role"),
    ),
    "ticket identity": Break(
        "_resumption.py",
        "if claimed is not None and claimed != (session.peer.identity, session.peer.category):",
        "if False:",
        vectors=("resumption_answer/ticket-of-another-identity",),
    ),
    "one use of R": Break(
        "_tickets.py",
        "            if name in self._used or expires <= self._forgotten:\n                return False",
        "            if False:\n                return False",
        vectors=("resumption_answer/used-before", "resumption_refused/attached-used"),
        steps=400,
    ),
    "holder deletes before it sends": Break(
        "_tickets.py",
        "                    elif usable(held):\n                        self._remove(identity, held)",
        "                    elif usable(held):",
        steps=400,
    ),
    "negotiation order": Break(
        "_handshake.py",
        "    for name in offered:\n        if name in allowed:",
        "    for name in allowed:\n        if name in offered:",
        vectors=("cipher/client-prefers-static-whatever-the-server", "handshake/application-first-of-client"),
        steps=400,
    ),
}

_VECTORS = """
import json, sys, alts, alts_vectors
from alts_conformance.vector_target import TARGET
assert alts.__file__.startswith(sys.argv[1]), alts.__file__
print(json.dumps([r.id for r in alts_vectors.verify(alts_vectors.load_all(), TARGET) if not r.passed]))
"""
_STEPS = """
import json, sys, alts
assert alts.__file__.startswith(sys.argv[1]), alts.__file__
from tests.differential import datacenter
try:
    datacenter.run(int(sys.argv[2]), 2)
except AssertionError as error:
    print(json.dumps(["noticed", type(error).__name__]))
else:
    print(json.dumps([]))
"""


def broken(tmp_path: Path, change: Break | None) -> Path:
    """A copy of the implementation with one change."""
    copy = tmp_path / "impl"
    shutil.copytree(ROOT / "impl" / "alts", copy / "alts", ignore=shutil.ignore_patterns("__pycache__"))
    if change is not None:
        path = copy / "alts" / change.file
        source = path.read_text(encoding="utf-8")
        assert source.count(change.old) == 1, f"{change.old!r} is not once in {change.file}"
        path.write_text(source.replace(change.old, change.new), encoding="utf-8")
    return copy


def ask(copy: Path, script: str, *arguments: str) -> list[str]:
    """Run a script over the copy; what it printed."""
    paths = os.pathsep.join([str(copy), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(copy), *arguments],
        env=environment,
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, list)
    return found


@pytest.mark.req("TRUST-1", "CRED-4", "POLICY-2", "POLICY-3", "REVOKE-1", "REVOKE-6", "RES-2", "RES-7", "RES-8", "HS-4")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BREAKS)
def test_a_check_that_is_taken_out_is_noticed(name: str, tmp_path: Path) -> None:
    change = BREAKS[name]
    assert change.steps or change.vectors
    copy = broken(tmp_path, change)
    if change.vectors:
        assert set(change.vectors) <= set(ask(copy, _VECTORS))
    if change.steps:
        assert ask(copy, _STEPS, str(change.steps))[:1] == ["noticed"]


@pytest.mark.req("RES-7")
@pytest.mark.timeout(300)
def test_an_unbroken_copy_is_not(tmp_path: Path) -> None:
    copy = broken(tmp_path, None)
    assert ask(copy, _VECTORS) == []
    assert ask(copy, _STEPS, "100") == []
