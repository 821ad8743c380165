"""The smoke profile for real: both peers, in namespaces, through the relay. The whole suite is `make conform`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from alts_conformance import _report


@pytest.mark.req("TRUST-1", "TRUST-5", "TRUST-6", "HS-1", "HS-8", "HS-9", "REC-2", "REC-6")
def test_smoke(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "alts_conformance.cli", "conform", "--profile", "smoke", "--report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    if "no namespace for the worker" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, _report.schema("report"))
    judged = {peer for result in document["results"] if result["verdict"] == "pass" for peer in result["peers"]}
    assert judged == {"reference", "grpc-core"}
    for result in document["results"]:
        assert result["transcript"] is None or Path(result["transcript"]).is_file()
