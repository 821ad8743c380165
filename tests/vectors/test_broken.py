"""Broken implementations: one line of a copy of `impl/` changed, and the vectors, judged in another process, say so.

A frozen counter or a wrong direction bit agrees with itself: only vectors, or another stack, can notice. The checkout
is never touched; a change that no longer applies fails.
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

IMPL = Path(__file__).resolve().parents[2] / "impl"


class Break(NamedTuple):
    """What is changed where, and a case that must notice."""

    file: str
    old: str
    new: str
    case: str


RAISE_BAD_RECORD = 'raise PeerViolation(ErrorCode.BAD_RECORD, f"frame {self.frames - 1} does not open") from None'
BREAKS = {
    "tag not checked": Break("_record.py", RAISE_BAD_RECORD, "return body[:-TAG_SIZE]", "record_invalid/tag-last-bit"),
    "counter frozen": Break("_record.py", "self.frames = number + 1", "pass", "record/client-first-frames"),
    "direction bit wrong": Break("_record.py", "0x80 << 88", "0x40 << 88", "record/server-first-frames"),
    "direction bit on the client": Break(
        "_record.py", "if sender is Role.SERVER else 0", "if sender is Role.CLIENT else 0", "record/client-first-frames"
    ),
    "no direction bit": Break("_record.py", "0x80 << 88", "0", "record_invalid/reflected-to-client"),
    "no change of keys": Break("_record.py", "1 << 16\n", "1 << 62\n", "record/client-rekey-boundary"),
    "keys change late": Break(
        "_record.py", "number // REKEY_INTERVAL", "(number - 1) // REKEY_INTERVAL", "record/client-first-frames"
    ),
    "no frame limit": Break("_record.py", "if number >= FRAME_LIMIT:", "if False:", "record_invalid/counter-limit"),
    "Finished not checked": Break(
        "_handshake.py",
        "if not same(received,",
        "if False and not same(received,",
        "finished/server_finished-authenticator-zero",
    ),
    "ticket authenticator not checked": Break(
        "_handshake.py",
        "if not same(ticket_received,",
        "if False and not same(ticket_received,",
        "finished/client_finished-ticket-authenticator-zero",
    ),
    "one label for both Finished": Break(
        "_key_schedule.py", 'b"openalts v1 client finished"', 'b"openalts v1 server finished"', "key_schedule/honest"
    ),
    "transcript outside the keys": Break(
        "_key_schedule.py", "context = th + ", 'context = th + b"" and ', "key_schedule/honest"
    ),
    "any policy": Break(
        "_trust.py",
        "if not trust.policy.allows(",
        "if False and not trust.policy.allows(",
        "certificate_invalid/policy-mallory",
    ),
    "chain ignored": Break(
        "_trust.py",
        "except (InvalidSignature, ValueError):\n        raise",
        "except (InvalidSignature, ValueError):\n        return\n        raise",
        "certificate_invalid/signature-master-zero",
    ),
    "unknown authority": Break(
        "_trust.py",
        "if key is None:\n        raise",
        "if key is None:\n        key = cert.master_body.verification_key_id\n    if False:\n        raise",
        "certificate_invalid/authority-unknown",
    ),
    "canonical form not checked": Break(
        "_messages.py",
        "if message.SerializeToString(deterministic=True) != data:",
        "if False:",
        "certificate_invalid/body-unknown-field",
    ),
    "identities need not be equal": Break(
        "_trust.py",
        '_refuse(body.identity != master.identity, "identity',
        '_refuse(False, "identity',
        "certificate_invalid/relation-machine-identity",
    ),
    "expiry not checked": Break(
        "_trust.py",
        "if now < not_before or",
        "if False and now < not_before or False and",
        "certificate_invalid/expired-now",
    ),
    "revocation not checked": Break(
        "_trust.py",
        "if trust.is_revoked(revocation_id) is not False:",
        "if False:",
        "certificate_invalid/revoked-master",
    ),
    "target ignored": Break(
        "_trust.py", "if targets and owner", "if False and owner", "certificate_invalid/target-other"
    ),
    "humans serve": Break(
        "_trust.py",
        "if role is Role.SERVER and owner.category == Category.HUMAN:",
        "if False:",
        "certificate_invalid/human-as-server",
    ),
    "zero shared secret": Break(
        "_key_schedule.py",
        "if hmac.compare_digest(shared, _ZERO):",
        "if False:",
        "x25519_low_order/order-8-first",
    ),
    "anybody's proof is forwarded": Break(
        "services/_proofs.py",
        "if request.requester != requester:",
        "if False:",
        "signed_master_invalid/not-the-requester",
    ),
    "proofs of other connections": Break(
        "services/_proofs.py",
        "if binding is not None and not hmac",
        "if False and not hmac",
        "key_request_invalid/other-connection",
    ),
    "a proof is used twice": Break(
        "services/_signing.py",
        "if known is not None and known[0] != digest:",
        "if False:",
        "signed_master_invalid/proof-used-for-another-id",
    ),
    "any answer of the Signing Service is kept": Break(
        "services/_issuing.py",
        "if body.revocation_id != pending.revocation_id or (",
        "if (",
        "answered_master_invalid/revocation-id",
    ),
    "mappings of others' ranges": Break(
        "services/_crl.py", "if not inside or row[2] != issuer or", "if", "mapping_report/foreign-range"
    ),
    "an ID for two certificates": Break(
        "services/_crl.py",
        "if known is not None and known[0] != mapping.certificate_digest:",
        "if False:",
        "mapping_report/another-certificate",
    ),
    "resumption keys are dropped at once": Break(
        "services/_cluster.py", "if end + TICKET_LIFETIME <= now]", "if end <= now]", "rotation/forced"
    ),
    "only the base master is rotated": Break(
        "services/_cluster.py",
        "if base.body.not_before <= now < base.body.not_after:",
        "if False:",
        "rotation/every-two-days",
    ),
    "names that nobody runs are offered": Break(
        "handshaker/_requests.py",
        "if not usable:",
        "if False:",
        "handshaker_start_invalid/unprotected",
    ),
}


def failed_cases(tmp_path: Path, change: Break | None) -> set[str]:
    """IDs of the cases that a copy of the implementation, with one change, fails."""
    copy = tmp_path / "impl"
    shutil.copytree(IMPL / "alts", copy / "alts", ignore=shutil.ignore_patterns("__pycache__"))
    if change is not None:
        path = copy / "alts" / change.file
        source = path.read_text(encoding="utf-8")
        assert source.count(change.old) == 1, f"{change.old!r} is not once in {change.file}"
        path.write_text(source.replace(change.old, change.new), encoding="utf-8")
    paths = os.pathsep.join([str(copy), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", _VERIFY, str(copy)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stdout))


_VERIFY = """
import json, sys, alts, alts_vectors
from alts_conformance.vector_target import TARGET
assert alts.__file__.startswith(sys.argv[1]), alts.__file__
print(json.dumps([r.id for r in alts_vectors.verify(alts_vectors.load_all(), TARGET) if not r.passed]))
"""


@pytest.mark.req("REC-5", "REC-6", "REC-8", "HS-7", "HS-9", "TRUST-1", "POLICY-3", "CRED-4", "REVOKE-1", "REVOKE-6")
@pytest.mark.req("TRUST-6", "ISSUE-1", "ISSUE-3", "ISSUE-8", "REVOKE-3", "REVOKE-4")
@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_implementation_is_caught(name: str, tmp_path: Path) -> None:
    change = BREAKS[name]
    assert change.case in failed_cases(tmp_path, change)


def test_an_unbroken_copy_is_not(tmp_path: Path) -> None:
    assert failed_cases(tmp_path, None) == set()
