"""Driver of the gRPC C-core as its Python wheel (peer ``grpc-core``). Protocol: conformance/DRIVER.md.

One file, standard library and ``grpc`` only, byte-level stubs only: so it runs in any interpreter that has a wheel, old
ones too, without this package.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

PROTOCOL = 1
PREFIX = "/openalts.conformance.v1.Echo/"
HEADER = struct.Struct(">4sQIIH")
LARGEST = 64 << 20
KINDS = {"Unary": "unary", "WhoAmI": "unary", "ServerStream": "server_stream", "ClientStream": "client_stream"}
KINDS["Bidi"] = "bidi"


def stream_bytes(seed: int, direction: bytes, index: int, size: int) -> bytes:
    """Reproducible payload bytes."""
    label = b"openalts-conformance-payload" + struct.pack(">Q", seed) + direction + struct.pack(">I", index)
    return hashlib.shake_128(label).digest(size)


def make_request(seed: int, index: int, size: int, response_size: int, response_count: int) -> bytes:
    """One request of the test application."""
    if size < HEADER.size:
        return stream_bytes(seed, b"Q", index, size)
    head = HEADER.pack(b"oacp", seed, index, response_size, response_count)
    return head + stream_bytes(seed, b"Q", index, size - HEADER.size)


def responses_to(request: bytes) -> Iterator[bytes]:
    """What a request asks for."""
    if len(request) < HEADER.size or request[:4] != b"oacp":
        yield request
        return
    _, seed, index, size, count = HEADER.unpack_from(request)
    for number in range(count):
        yield stream_bytes(seed, b"R", (index << 12) + number, size)


class Tally:
    """Counts, sizes and digest of a sequence of messages."""

    def __init__(self) -> None:
        self.count = self.total = 0
        self.first = b""
        self._digest = hashlib.sha256()

    def add(self, message: bytes) -> None:
        """Count one message."""
        if not self.count:
            self.first = message
        self.count += 1
        self.total += len(message)
        self._digest.update(struct.pack(">I", len(message)))
        self._digest.update(message)

    def summary(self) -> bytes:
        """The response of ClientStream."""
        return struct.pack(">QQ", self.count, self.total) + self._digest.digest()

    def report(self, name: str) -> dict[str, Any]:
        """The fields of an outcome."""
        report: dict[str, Any] = {name + "_messages": self.count, name + "_bytes": self.total}
        report[name + "_sha256"] = self._digest.hexdigest()
        if self.count and len(self.first) <= 4096:
            report[name + "_first"] = self.first.hex()
        return report


def auth_of(context: Any) -> dict[str, Any]:
    """The authentication context of a call as plain strings."""
    found = {key: [v.decode("utf-8", "replace") for v in values] for key, values in context.auth_context().items()}
    kind = (found.get("transport_security_type") or ["none"])[0]
    peer = (found.get("service_account") or [None])[0]
    return {"security": kind, "peer": peer, "level": (found.get("security_level") or [None])[0]}


class Application:
    """The test application; remembers every call that reached it."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def _note(self, method: str, tally: Tally, context: Any) -> None:
        with self._lock:
            self.calls.append({"method": method, "auth": auth_of(context), **tally.report("received")})

    def _single(self, method: str, request: bytes, context: Any) -> Iterator[bytes]:
        tally = Tally()
        tally.add(request)
        self._note(method, tally, context)
        return responses_to(request)

    def unary(self, request: bytes, context: Any) -> bytes:
        """Unary: one request, the first response it asks for."""
        return next(self._single("Unary", request, context), b"")

    def who(self, request: bytes, context: Any) -> bytes:
        """WhoAmI: the authentication context as JSON."""
        self._single("WhoAmI", request, context)
        return json.dumps(auth_of(context), sort_keys=True).encode()

    def server_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        """ServerStream: all the responses that the request asks for."""
        return self._single("ServerStream", request, context)

    def client_stream(self, requests: Iterator[bytes], context: Any) -> bytes:
        """ClientStream: count, size and digest of everything received."""
        tally = Tally()
        for request in requests:
            tally.add(request)
        self._note("ClientStream", tally, context)
        return tally.summary()

    def bidi(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """Bidi: for each request the responses that it asks for."""
        tally = Tally()
        for request in requests:
            tally.add(request)
            yield from responses_to(request)
        self._note("Bidi", tally, context)

    def handlers(self) -> Any:
        """Generic handlers without any serializer."""
        table: dict[str, Any] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "WhoAmI": grpc.unary_unary_rpc_method_handler(self.who),
            "ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
            "ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
            "Bidi": grpc.stream_stream_rpc_method_handler(self.bidi),
        }
        return grpc.method_handlers_generic_handler("openalts.conformance.v1.Echo", table)


class Driver:
    """The commands."""

    def __init__(self) -> None:
        self.servers: dict[str, Any] = {}
        self.channels: dict[str, Any] = {}
        self._numbers = iter(range(1, 1 << 30))

    def hello(self, command: dict[str, Any]) -> dict[str, Any]:
        """Who this is and what it can do."""
        capabilities = ["client", "server", "alts", "insecure", "target_identities", "ciphers", "resumption"]
        return {"protocol": PROTOCOL, "peer": "grpc-core", "version": grpc.__version__, "capabilities": capabilities}

    def start_server(self, command: dict[str, Any]) -> dict[str, Any]:
        """Listen with the test application behind it."""
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=32)
        options = [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
        options.append(("grpc.so_reuseport", 0))
        if "handshake_timeout" in command:
            options.append(("grpc.server_handshake_timeout_ms", int(1000 * command["handshake_timeout"])))
        server = grpc.server(pool, options=options)
        application = Application()
        server.add_generic_rpc_handlers((application.handlers(),))
        address = command.get("address", "127.0.0.1") + ":0"
        if command["security"] == "alts":
            port = server.add_secure_port(address, grpc.alts_server_credentials())
        else:
            port = server.add_insecure_port(address)
        server.start()
        name = f"s{next(self._numbers)}"
        self.servers[name] = (server, application)
        return {"server": name, "port": port}

    def connect(self, command: dict[str, Any]) -> dict[str, Any]:
        """Make a channel; it connects with its first call."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        options += [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
        if command["security"] == "alts":
            accounts = command.get("target_identities") or None
            credentials = grpc.alts_channel_credentials(service_accounts=accounts)
            channel = grpc.secure_channel(command["target"], credentials, options=options)
        else:
            channel = grpc.insecure_channel(command["target"], options=options)
        name = f"c{next(self._numbers)}"
        self.channels[name] = channel
        return {"channel": name}

    def rpc(self, command: dict[str, Any]) -> dict[str, Any]:
        """Make one call and tell what came of it."""
        method = command["method"]
        kind = command.get("kind", KINDS[method])
        seed, count = int(command.get("seed", 0)), int(command.get("messages", 1))
        sizes = (int(command.get("request_bytes", 0)), int(command.get("response_bytes", 0)))
        responses, pingpong = int(command.get("responses", 1)), bool(command.get("pingpong", False))
        sent, received = Tally(), Tally()
        credit = threading.Semaphore(0)

        def requests() -> Iterator[bytes]:
            for index in range(count):
                if pingpong and index and not credit.acquire(timeout=30):
                    return
                message = make_request(seed, index, sizes[0], sizes[1], responses)
                sent.add(message)
                yield message

        channel, path = self.channels[command["channel"]], PREFIX + method
        timeout, begin = float(command.get("timeout", 10)), time.monotonic()
        code = grpc.StatusCode.OK
        detail = ""
        try:
            if kind == "unary":
                received.add(channel.unary_unary(path, None, None)(next(requests()), timeout=timeout))
            elif kind == "client_stream":
                received.add(channel.stream_unary(path, None, None)(requests(), timeout=timeout))
            else:
                if kind == "server_stream":
                    stream = channel.unary_stream(path, None, None)(next(requests()), timeout=timeout)
                else:
                    stream = channel.stream_stream(path, None, None)(requests(), timeout=timeout)
                for message in stream:
                    received.add(message)
                    credit.release()
        except grpc.RpcError as error:
            code, detail = error.code(), str(error.details())
        finally:
            credit.release()
        outcome = {"status": code.value[0], "detail": detail, "seconds": time.monotonic() - begin}
        return {**outcome, **sent.report("sent"), **received.report("received")}

    def observe(self, command: dict[str, Any]) -> dict[str, Any]:
        """Every call that reached the application of a server."""
        return {"calls": list(self.servers[command["server"]][1].calls)}

    def close(self, command: dict[str, Any]) -> dict[str, Any]:
        """Close one channel."""
        self.channels.pop(command["channel"]).close()
        return {}

    def stop_server(self, command: dict[str, Any]) -> dict[str, Any]:
        """Stop one server at once."""
        self.servers.pop(command["server"])[0].stop(0).wait(5)
        return {}

    def reset(self, command: dict[str, Any]) -> dict[str, Any]:
        """Close every channel and server."""
        for channel in self.channels.values():
            channel.close()
        self.channels.clear()
        stopping = [server.stop(0) for server, _ in self.servers.values()]
        self.servers.clear()
        for event in stopping:
            event.wait(5)
        return {}


COMMANDS: dict[str, Callable[[Driver, dict[str, Any]], dict[str, Any]]] = {
    "hello": Driver.hello,
    "start_server": Driver.start_server,
    "connect": Driver.connect,
    "rpc": Driver.rpc,
    "observe": Driver.observe,
    "close": Driver.close,
    "stop_server": Driver.stop_server,
    "reset": Driver.reset,
}


def answer(driver: Driver, command: dict[str, Any]) -> dict[str, Any]:
    """Run one command; errors become an answer."""
    function: Callable[[Driver, dict[str, Any]], dict[str, Any]] | None = COMMANDS.get(command.get("command", ""))
    if function is None:
        return {"id": command.get("id"), "ok": False, "error": "unsupported"}
    try:
        return {"id": command.get("id"), "ok": True, **function(driver, command)}
    except Exception as error:
        return {
            "id": command.get("id"),
            "ok": False,
            "error": "failed",
            "detail": f"{type(error).__name__}: {error}",
        }


def main() -> int:
    """Read commands until stdin ends or ``stop`` comes; answers may come out of order."""
    driver = Driver()
    lock = threading.Lock()

    def work(command: dict[str, Any]) -> None:
        line = json.dumps(answer(driver, command))
        with lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    with concurrent.futures.ThreadPoolExecutor(max_workers=64) as pool:
        for line in sys.stdin:
            command = json.loads(line)
            if command.get("command") == "stop":
                driver.reset(command)
                work({"id": command.get("id"), "command": "hello"})
                break
            pool.submit(work, command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
