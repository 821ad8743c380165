"""The worker's own world, looked at from inside."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

INSIDE = """
import json, pathlib, socket, subprocess, sys, tempfile
from alts_conformance import _namespaces as n
try:
    n.enter()
except OSError as error:
    print(json.dumps({"refused": str(error)})); sys.exit(0)
n.raise_loopback(["fd00::2"])
n.fake_platform()
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "one").write_text(n.hosts_text())
(folder / "two").write_text(n.hosts_text("127.0.0.2", "fd00::2"))
n.use_hosts(folder / "one")
bound = []
for family, address in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "fd00::2")):
    with socket.socket(family) as listener:
        listener.bind((address, 8080))
        bound.append(address)
nsexec = str(pathlib.Path(n.__file__).with_name("_nsexec.py"))
inner = [sys.executable, "-I", "-S", nsexec, "--hosts", str(folder / "two"), "--", "cat", "/etc/hosts"]
print(json.dumps({
    "product": pathlib.Path("/sys/class/dmi/id/product_name").read_text().strip(),
    "hosts": pathlib.Path("/etc/hosts").read_text(),
    "nested": subprocess.run(inner, capture_output=True, text=True).stdout,
    "interfaces": [name for _, name in socket.if_nameindex()],
    "bound": bound,
}))
"""


def test_the_world_of_a_worker() -> None:
    done = subprocess.run([sys.executable, "-c", INSIDE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    if "refused" in seen:
        pytest.skip(f"namespaces are refused here: {seen['refused']}")
    assert seen["product"] == "Google Compute Engine"
    for address, text in (
        ("127.0.0.1", seen["hosts"]),
        ("::1", seen["hosts"]),
        ("127.0.0.2", seen["nested"]),
        ("fd00::2", seen["nested"]),
    ):
        assert f"{address} metadata.google.internal metadata.google.internal.\n" in text
    assert "127.0.0.2 metadata" not in seen["hosts"]
    assert seen["interfaces"] == ["lo"]
    assert seen["bound"] == ["127.0.0.2", "::1", "fd00::2"]
