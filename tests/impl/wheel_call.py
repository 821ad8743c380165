"""Run inside namespaces of its own (see test_handshaker_cli): a call of the grpcio wheel over the handshaker service.

Arguments: directory of a realm with the credential `server`, number of bytes, target service account (may be empty).
Prints one JSON line. Only what gRPC's platform check and name lookup need is made up: a product name and a hosts file.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

METHOD = "/tests.Echo/Unary"
NAMES = "metadata.google.internal metadata.google.internal."
_BIND = 0x1000
SERVE = """
import argparse, sys
from alts.handshaker import cli
parser = argparse.ArgumentParser()
cli.add_arguments(parser)
sys.exit(cli.run(parser.parse_args()))
"""


def prepare() -> None:
    """Raise the loopback interface, and mount what gRPC looks at."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x41))
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
        if libc.mount(source, target, kind, flags, None) != 0:
            raise OSError(ctypes.get_errno(), f"mount on {target.decode()}")

    mount(b"tmpfs", b"/sys/class", b"tmpfs", 0)
    product = Path("/sys/class/dmi/id")
    product.mkdir(parents=True)
    (product / "product_name").write_text("Google Compute Engine\n")
    with tempfile.NamedTemporaryFile("w", suffix=".hosts", delete=False) as hosts:
        hosts.write(f"127.0.0.1 localhost {NAMES}\n::1 localhost {NAMES}\n")
    mount(hosts.name.encode(), b"/etc/hosts", None, _BIND)
    os.unlink(hosts.name)


def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Answer with the caller's identity, as gRPC tells it, and the bytes."""
    peer: Any = context.auth_context().get("service_account", [b""])
    return bytes(peer[0]) + b"\n" + request


def call(size: int, target: str) -> dict[str, Any]:
    """Serve and call, both by the wheel over ALTS."""
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    handler: Any = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tests.Echo", {"Unary": handler}),))
    port = server.add_secure_port("127.0.0.1:0", grpc.alts_server_credentials())
    server.start()
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    targets = [target] if target else None
    with grpc.secure_channel(f"127.0.0.1:{port}", grpc.alts_channel_credentials(targets), options) as channel:
        try:
            method: Any = channel.unary_unary(METHOD)
            answer = method(payload, timeout=30)
        except grpc.RpcError as error:
            status: Any = error
            return {"code": status.code().name, "details": status.details()}
        finally:
            server.stop(None)
    peer, _, echoed = answer.partition(b"\n")
    return {"code": "OK", "peer": peer.decode(), "echoed": echoed == payload}


def main(realm: str, size: str, target: str) -> None:
    """Start the service, make the call, stop the service."""
    prepare()
    command = [sys.executable, "-c", SERVE, "--realm", realm, "--identity", "server", "--print-ready"]
    command += ["--listen", "127.0.0.1:8080", "--listen", "[::1]:8080", "--verbose"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        assert json.loads(service.stdout.readline())["ready"]
        try:
            outcome = call(int(size), target)
        finally:
            service.send_signal(signal.SIGTERM)
        outcome["service"] = service.wait(20)
    print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
