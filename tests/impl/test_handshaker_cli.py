"""`alts serve handshaker` as a process, and the grpcio wheel over it (SPEC 9; TRUST-6)."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from alts import Category
from alts.handshaker import cli
from alts.realm import RealmDirectory
from alts_schema import handshaker_pb2 as wire
from tests.impl.handshaker_stacks import client_start
from tests.impl.wheel_call import SERVE

if TYPE_CHECKING:
    from collections.abc import Iterator

WHEEL_CALL = Path(__file__).with_name("wheel_call.py")
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--net"]


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("realms") / "realm"
    made = RealmDirectory.create(directory, name="tests", random=os.urandom)
    for name in ("server", "other"):
        made.issue(name, f"shop/{name}", Category.WORKLOAD, clock=time.time, random=os.urandom)
    return directory


@contextlib.contextmanager
def service(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-c", SERVE, *options, "--print-ready"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def run(*options: str) -> int:
    """Run the command in this process; it must not get as far as serving."""
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    try:
        return cli.run(parser.parse_args(options))
    except SystemExit as ended:
        return int(ended.code or 0)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


def first_response(port: int, host: str = "127.0.0.1") -> wire.HandshakerResp:
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        method: Any = channel.stream_stream("/grpc.gcp.HandshakerService/DoHandshake")
        call = method(iter([client_start().SerializeToString()]))
        return wire.HandshakerResp.FromString(next(call))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_on_each_address_and_ends_well_when_told(realm: Path, number: signal.Signals) -> None:
    addresses = ["127.0.0.1:0", "127.0.0.2:0"]
    if socket.has_ipv6:
        with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
            addresses.append("[::1]:0")
    listen = [part for address in addresses for part in ("--listen", address)]
    with service("--realm", str(realm), "--identity", "server", *listen) as (process, ready):
        assert ready["identity"] == "shop/server"
        assert len(ready["ports"]) == len(addresses)
        for address, port in zip(addresses, ready["ports"], strict=True):
            assert first_response(port, address.rpartition(":")[0]).out_frames
        process.send_signal(number)
        assert process.wait(30) == 0


def test_a_second_signal_cuts_the_grace_short() -> None:
    options = ["--test-realm", "--listen", "127.0.0.1:0", "--grace", "1000", "--timeout", "1000"]
    release = threading.Event()

    def held_open() -> Iterator[bytes]:
        yield client_start().SerializeToString()
        release.wait()

    with contextlib.ExitStack() as stack:
        process, ready = stack.enter_context(service(*options))
        address = ("127.0.0.1", ready["ports"][0])
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{address[1]}"))
        stack.callback(release.set)
        method: Any = channel.stream_stream("/grpc.gcp.HandshakerService/DoHandshake")
        call = method(held_open())
        next(call)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):  # until it no longer listens: then the first signal has arrived
            while True:
                socket.create_connection(address).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_ready_line_for_people_and_by_descriptor(realm: Path) -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-c", SERVE, "--realm", str(realm), "--identity", "shop/other"]
    command += ["--listen", "127.0.0.1:0", "--ready-fd", str(writer)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=[writer]) as process:
        os.close(writer)
        with os.fdopen(reader) as stream:
            document = json.loads(stream.read())
        assert process.stdout is not None
        plain = process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 0
    assert plain == f"alts handshaker: ready on 127.0.0.1:{document['ports'][0]}, default identity shop/other\n"


def test_a_port_in_use_is_exit_3(realm: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run("--realm", str(realm), "--identity", "server", "--listen", address) == 3
    assert f"cannot listen on {address}" in capfd.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--realm", "x", "--test-realm"],
        ["--test-realm", "--listen", "localhost:1"],
        ["--test-realm", "--listen", "::1:1"],
        ["--test-realm", "--listen", "127.0.0.1:65536"],
        ["--test-realm", "--listen", "127.0.0.1"],
        ["--test-realm", "--max-handshakes", "0"],
        ["--test-realm", "--timeout", "nan"],
        ["--test-realm", "--timeout", "-1"],
        ["--test-realm", "--identity", "no identity"],
        *(["--test-realm", "--ready-fd", fd] for fd in ("-5", "999999", "9" * 30, "1_0", "x")),
    ],
)
def test_wrong_usage_is_exit_2(options: list[str]) -> None:
    assert run(*options) == 2


def test_an_identity_that_is_not_there_or_not_chosen_is_exit_2(realm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--realm", str(realm)) == 2
    assert run("--realm", str(realm), "--identity", "nobody") == 2
    assert capsys.readouterr().err.count("other, server") == 2


def test_a_damaged_or_empty_realm_is_exit_3(realm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--realm", str(tmp_path)) == 3
    RealmDirectory.create(tmp_path / "empty", name="empty", random=os.urandom)
    assert run("--realm", str(tmp_path / "empty")) == 3
    copy = tmp_path / "copy"
    shutil.copytree(realm, copy)
    (copy / "credentials/other/x25519.key").chmod(0o644)
    assert run("--realm", str(copy), "--identity", "server") == 3
    errors = capsys.readouterr().err
    assert "too open" in errors
    assert "Traceback" not in errors


def _wheel(realm: Path, size: int, target: str) -> dict[str, Any]:
    command = [*UNSHARE, sys.executable, str(WHEEL_CALL), str(realm), str(size), target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Skip where the machine refuses what the wheel needs."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare (util-linux) is not installed")
    done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"namespaces are refused here: {done.stderr.strip()}")


@pytest.mark.usefixtures("namespaces")
@pytest.mark.req("TRUST-6", "TRUST-5")
@pytest.mark.parametrize(("size", "target"), [(0, ""), (3_000_000, "shop/server")])
def test_the_wheel_calls_the_wheel(realm: Path, size: int, target: str) -> None:
    outcome = _wheel(realm, size, target)
    assert outcome == {"code": "OK", "peer": "shop/server", "echoed": True, "service": 0}


@pytest.mark.usefixtures("namespaces")
@pytest.mark.req("TRUST-2")
def test_the_wheel_refuses_an_unmet_target(realm: Path) -> None:
    outcome = _wheel(realm, 1, "shop/other")
    assert outcome["code"] == "UNAVAILABLE"
    assert outcome["service"] == 0
