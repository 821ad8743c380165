"""Driver of this project's implementation (peer ``reference``): grpclib over the asyncio adapter. Protocol: DRIVER.md.

Loads ``alts`` from wherever PYTHONPATH leads, so that a changed copy of the implementation can be driven.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpclib.client
import grpclib.const
import grpclib.exceptions
import grpclib.server
from grpclib.encoding.base import CodecBase

import alts
import alts.aio
import alts.grpclib_adapter
from alts.realm import RealmDirectory
from alts_conformance import _payload
from alts_conformance.drivers._tally import Tally

PROTOCOL = 1
CARDINALITY = {
    "Unary": grpclib.const.Cardinality.UNARY_UNARY,
    "WhoAmI": grpclib.const.Cardinality.UNARY_UNARY,
    "ServerStream": grpclib.const.Cardinality.UNARY_STREAM,
    "ClientStream": grpclib.const.Cardinality.STREAM_UNARY,
    "Bidi": grpclib.const.Cardinality.STREAM_STREAM,
}


class RawCodec(CodecBase):
    """Messages are bytes already."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """The message itself."""
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        """The message itself."""
        return bytes(data)


ServerStream = grpclib.server.Stream[bytes, bytes]


class Application:
    """The test application; remembers every call that reached it."""

    def __init__(self, secure: bool) -> None:
        self.calls: list[dict[str, Any]] = []
        self._secure = secure

    def _auth(self, stream: ServerStream) -> dict[str, Any]:
        if not self._secure:
            return {"security": "insecure", "peer": None}
        peer = alts.grpclib_adapter.peer_of(stream)
        return {"security": "alts", "peer": peer.identity}

    def _note(self, method: str, tally: Tally, stream: ServerStream) -> None:
        self.calls.append({"method": method, "auth": self._auth(stream), **tally.report("received")})

    async def _one(self, method: str, stream: ServerStream) -> list[bytes]:
        request = await stream.recv_message()
        tally = Tally()
        tally.add(request or b"")
        self._note(method, tally, stream)
        return _payload.responses_to(request or b"")

    async def unary(self, stream: ServerStream) -> None:
        """One request, the first response it asks for."""
        await stream.send_message((await self._one("Unary", stream) or [b""])[0])

    async def who(self, stream: ServerStream) -> None:
        """The authentication context as JSON."""
        await self._one("WhoAmI", stream)
        await stream.send_message(json.dumps(self._auth(stream), sort_keys=True).encode())

    async def server_stream(self, stream: ServerStream) -> None:
        """All the responses that the request asks for."""
        for response in await self._one("ServerStream", stream):
            await stream.send_message(response)

    async def client_stream(self, stream: ServerStream) -> None:
        """Count, size and digest of everything received."""
        tally = Tally()
        async for request in stream:
            tally.add(request)
        self._note("ClientStream", tally, stream)
        await stream.send_message(tally.summary())

    async def bidi(self, stream: ServerStream) -> None:
        """For each request the responses that it asks for."""
        tally = Tally()
        async for request in stream:
            tally.add(request)
            for response in _payload.responses_to(request):
                await stream.send_message(response)
        self._note("Bidi", tally, stream)

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        """What grpclib serves."""
        table = {
            "Unary": self.unary,
            "WhoAmI": self.who,
            "ServerStream": self.server_stream,
            "ClientStream": self.client_stream,
            "Bidi": self.bidi,
        }
        return {
            _payload.SERVICE + name: grpclib.const.Handler(function, CARDINALITY[name], bytes, bytes)
            for name, function in table.items()
        }


class Driver:
    """The commands."""

    def __init__(self) -> None:
        self.servers: dict[str, tuple[Any, Application]] = {}
        self.channels: dict[str, grpclib.client.Channel] = {}
        self._number = 0
        self._resumptions: dict[tuple[str, str], alts.Resumption] = {}

    def _configuration(self, command: Mapping[str, Any]) -> alts.aio.ConfigurationSource:
        """The configuration that a command's credential asks for; with resumption the realm is read at each handshake,
        and tickets and used secrets are one set for each credential of this process.
        """
        given = command["credential"]
        path, name = Path(given["realm"]), given["name"]
        chosen: dict[str, Any] = {"handshake_ciphers": tuple(given["ciphers"])} if given.get("ciphers") else {}
        state: alts.Resumption | None = None
        if given.get("resumption"):
            state = self._resumptions.setdefault((str(path), name), alts.Resumption())

        def provide() -> alts.Configuration:
            realm = RealmDirectory.load(path)
            credential = realm.credential(name)
            if state is not None:
                state.keys = realm.resumption_keys(credential.identity)
            return alts.Configuration(credential, realm.trust(), resumption=state, **chosen)

        fixed = provide()  # what is wrong with it is for the answer to this command
        return fixed if state is None else provide

    def _name(self, letter: str) -> str:
        self._number += 1
        return f"{letter}{self._number}"

    async def hello(self, command: dict[str, Any]) -> dict[str, Any]:
        """Who this is and what it can do."""
        from alts_conformance._peers import REFERENCE_CAPABILITIES, distribution_version

        capabilities = sorted(REFERENCE_CAPABILITIES)
        version = distribution_version("openalts")
        return {"protocol": PROTOCOL, "peer": "reference", "version": version, "capabilities": capabilities}

    async def start_server(self, command: dict[str, Any]) -> dict[str, Any]:
        """Listen with the test application behind it."""
        secure = command["security"] == "alts"
        application, host = Application(secure), command.get("address", "127.0.0.1")
        name = self._name("s")
        if secure:
            server = await alts.grpclib_adapter.serve(
                [application],
                host,
                0,
                configuration=self._configuration(command),
                codec=RawCodec(),
                on_handshake_failure=lambda error, peername: None,
                **({"handshake_timeout": command["handshake_timeout"]} if "handshake_timeout" in command else {}),
            )
            port = server.port
        else:
            plain = grpclib.server.Server([application], codec=RawCodec())
            await plain.start(host, 0)
            listener = plain._server
            assert isinstance(listener, asyncio.Server)
            port, server = listener.sockets[0].getsockname()[1], plain  # type: ignore[assignment] # either is closed alike
        self.servers[name] = (server, application)
        return {"server": name, "port": port}

    async def connect(self, command: dict[str, Any]) -> dict[str, Any]:
        """Make a channel; it connects with its first call."""
        host, _, port = command["target"].rpartition(":")
        if command["security"] == "alts":
            channel: grpclib.client.Channel = alts.grpclib_adapter.Channel(
                host,
                int(port),
                configuration=self._configuration(command),
                target_identities=command.get("target_identities") or None,
                codec=RawCodec(),
            )
        else:
            channel = grpclib.client.Channel(host, int(port), codec=RawCodec())
        name = self._name("c")
        self.channels[name] = channel
        return {"channel": name}

    async def rpc(self, command: dict[str, Any]) -> dict[str, Any]:
        """Make one call and tell what came of it."""
        method = command["method"]
        sent, received = Tally(), Tally()
        begin, timeout = time.monotonic(), float(command.get("timeout", 10))
        status, detail = 0, ""
        try:
            async with asyncio.timeout(timeout):
                await self._call(method, command, sent, received)
        except grpclib.exceptions.GRPCError as error:
            status, detail = error.status.value, str(error.message)
        except TimeoutError:
            status, detail = grpclib.const.Status.DEADLINE_EXCEEDED.value, "timeout"
        except (
            OSError,
            alts.AltsError,
            grpclib.exceptions.StreamTerminatedError,
            grpclib.exceptions.ProtocolError,
        ) as error:
            status, detail = grpclib.const.Status.UNAVAILABLE.value, f"{type(error).__name__}: {error}"
        outcome = {"status": status, "detail": detail, "seconds": time.monotonic() - begin}
        return {**outcome, **sent.report("sent"), **received.report("received")}

    async def _call(self, method: str, command: dict[str, Any], sent: Tally, received: Tally) -> None:
        cardinality = CARDINALITY[method]
        count = int(command.get("messages", 1)) if cardinality.client_streaming else 1
        seed, size = int(command.get("seed", 0)), int(command.get("request_bytes", 0))
        response_size, responses = int(command.get("response_bytes", 0)), int(command.get("responses", 1))

        async def requests() -> AsyncIterator[bytes]:
            for index in range(count):
                message = _payload.make_request(seed, index, size, response_size, responses)
                sent.add(message)
                yield message

        channel = self.channels[command["channel"]]
        request = channel.request(_payload.SERVICE + method, cardinality, bytes, bytes)
        async with request as stream:

            async def send(pingpong: bool) -> None:
                async for message in requests():
                    await stream.send_message(message, end=sent.count == count)
                    if pingpong and (response := await stream.recv_message()) is not None:
                        received.add(response)

            async def receive() -> None:
                async for message in stream:
                    received.add(message)

            if bool(command.get("pingpong", False)) or cardinality is not grpclib.const.Cardinality.STREAM_STREAM:
                await send(bool(command.get("pingpong", False)))
                await receive()
            else:
                await stream.send_request()
                async with asyncio.TaskGroup() as group:
                    group.create_task(send(False))
                    group.create_task(receive())

    async def observe(self, command: dict[str, Any]) -> dict[str, Any]:
        """Every call that reached the application of a server."""
        return {"calls": list(self.servers[command["server"]][1].calls)}

    async def close(self, command: dict[str, Any]) -> dict[str, Any]:
        """Close one channel."""
        self.channels.pop(command["channel"]).close()
        return {}

    async def stop_server(self, command: dict[str, Any]) -> dict[str, Any]:
        """Stop one server."""
        server, _ = self.servers.pop(command["server"])
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)
        return {}

    async def reset(self, command: dict[str, Any]) -> dict[str, Any]:
        """Close every channel and server, and forget every ticket."""
        self._resumptions.clear()
        for channel in self.channels.values():
            channel.close()
        self.channels.clear()
        for name in list(self.servers):
            await self.stop_server({"server": name})
        return {}

    async def record_seal(self, command: dict[str, Any]) -> dict[str, Any]:
        """Seal plaintexts with the record protocol, each in one frame."""
        sealer = alts.Sealer(
            bytes.fromhex(command["key_data"]),
            alts.Role(command["role"]),
            command.get("max_frame_size", 1 << 20),
            command.get("counter", 0),
        )
        return {"frames": [bytes(sealer.seal(bytes.fromhex(text))).hex() for text in command["plaintexts"]]}

    async def record_open(self, command: dict[str, Any]) -> dict[str, Any]:
        """Open frames, one after the other, until the first that is refused."""
        receiver = alts.Role.SERVER if command["role"] == "client" else alts.Role.CLIENT
        opener = alts.Opener(
            bytes.fromhex(command["key_data"]),
            receiver,
            command.get("max_frame_size", 1 << 20),
            command.get("counter", 0),
        )
        plaintexts: list[str] = []
        for frame in command["frames"]:
            parts: list[bytes] = []
            try:
                for part in opener.open(bytes.fromhex(frame)):
                    parts.append(bytes(part))
            except alts.PeerViolation:
                return {"plaintexts": [*plaintexts, *(part.hex() for part in parts)], "refused": True}
            plaintexts.append(b"".join(parts).hex())
        return {"plaintexts": plaintexts, "refused": not opener.at_boundary}


COMMANDS: dict[str, Callable[[Driver, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    "hello": Driver.hello,
    "start_server": Driver.start_server,
    "connect": Driver.connect,
    "rpc": Driver.rpc,
    "observe": Driver.observe,
    "close": Driver.close,
    "stop_server": Driver.stop_server,
    "reset": Driver.reset,
    "record_seal": Driver.record_seal,
    "record_open": Driver.record_open,
}


async def answer(driver: Driver, command: dict[str, Any]) -> dict[str, Any]:
    """Run one command; errors become an answer."""
    function = COMMANDS.get(command.get("command", ""))
    if function is None:
        return {"id": command.get("id"), "ok": False, "error": "unsupported"}
    try:
        return {"id": command.get("id"), "ok": True, **await function(driver, command)}
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        return {"id": command.get("id"), "ok": False, "error": "failed", "detail": detail}


async def main() -> int:
    """Read commands until stdin ends or ``stop`` comes."""
    driver, tasks = Driver(), set[asyncio.Task[None]]()
    output = sys.stdout

    async def work(command: dict[str, Any]) -> None:
        line = json.dumps(await answer(driver, command))
        output.write(line + "\n")
        output.flush()

    reader = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        if command.get("command") == "stop":
            await driver.reset(command)
            await work({"id": command.get("id"), "command": "reset"})
            break
        task = asyncio.create_task(work(command))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
