"""A client of the handshaker service that says exactly what a case wants: raw requests, raw responses, gRPC status.

Made of a sans-IO HTTP/2 connection: no C-core in this process, whose threads do not go with child processes, and
nothing that throws a response away because the stream was reset behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from alts_schema import handshaker_pb2 as hs

from ._http2 import frame_message
from ._relay import abort
from ._verdict import CaseFailed

PATH = "/grpc.gcp.HandshakerService/DoHandshake"
UNAVAILABLE = 14


@dataclass(slots=True)
class Conversation:
    """What came of one stream."""

    responses: list[hs.HandshakerResp] = field(default_factory=list)
    status: int | None = None
    detail: str = ""

    @property
    def result(self) -> hs.HandshakerResult | None:
        """The result, if the handshake was completed."""
        last = self.responses[-1] if self.responses else None
        return last.result if last is not None and last.HasField("result") else None

    @property
    def refused(self) -> bool:
        """Whether the service ended the stream with an error, or answered with a non-zero handshake status."""
        return self.status not in (None, 0) or any(response.status.code for response in self.responses)


class ServiceStream:
    """One stream on a connection of its own. ``window`` is the HTTP/2 window that it leaves for answers (None: the
    usual one); with 0 the service cannot get rid of any.
    """

    def __init__(self, port: int, *, window: int | None = None) -> None:
        self._window = window
        self.log = Conversation()
        self._port = port
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self._stream = 1
        self._body = bytearray()
        self._ended = False

    async def open(self) -> None:
        """Connect and start the stream."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._h2.initiate_connection()
        if self._window is not None:
            self._h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: self._window})
        self._stream = self._h2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "handshaker")]
        headers += [("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "grpc-harness/1")]
        self._h2.send_headers(self._stream, headers)
        await self._flush()

    async def _flush(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._writer.write(self._h2.data_to_send())
            await self._writer.drain()

    async def send(self, request: hs.HandshakerReq | bytes) -> None:
        """Send a request; nothing happens if the service has ended the stream."""
        data = frame_message(request if isinstance(request, bytes) else request.SerializeToString())
        if not self._ended:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.send_data(self._stream, data)
        await self._flush()

    async def receive(self, seconds: float = 8.0) -> hs.HandshakerResp | None:
        """The next response; None when the service has ended the stream (``log.status`` then says how).

        Raises:
            CaseFailed: nothing came in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while (message := self._message()) is None and not self._ended:
                    await self._read()
        except TimeoutError:
            raise CaseFailed(f"the service neither answered nor ended the stream within {seconds:g} s") from None
        if message is None:
            self.log.status = UNAVAILABLE if self.log.status is None else self.log.status
            return None
        response = hs.HandshakerResp.FromString(message)
        self.log.responses.append(response)
        return response

    def _message(self) -> bytes | None:
        if len(self._body) < 5 or len(self._body) < 5 + (size := int.from_bytes(self._body[1:5], "big")):
            return None
        message = bytes(self._body[5 : 5 + size])
        del self._body[: 5 + size]
        return message

    async def _read(self) -> None:
        try:
            data = await self._reader.read(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self._ended = True
            return
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self._body += event.data or b""
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, self._stream)
            elif isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                headers = {str(name): str(value) for name, value in event.headers or []}
                if "grpc-status" in headers:
                    self.log.status = int(headers["grpc-status"])
                    self.log.detail = headers.get("grpc-message", "")
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
                self._ended = True
        await self._flush()

    async def exchange(self, request: hs.HandshakerReq | bytes) -> hs.HandshakerResp | None:
        """Send a request and take its response."""
        await self.send(request)
        return await self.receive()

    async def abandon(self, *, politely: bool = True) -> None:
        """Reset the stream (politely), then drop the connection."""
        if politely and not self._ended:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.reset_stream(self._stream, h2.errors.ErrorCodes.CANCEL)
            await self._flush()
        abort(self._writer)


def versions() -> hs.RpcProtocolVersions:
    """2.1 to 2.1, as the stacks say."""
    version = hs.RpcProtocolVersions.Version
    return hs.RpcProtocolVersions(max_rpc_version=version(major=2, minor=1), min_rpc_version=version(major=2, minor=1))


def client_start(**fields: Any) -> hs.HandshakerReq:
    """A start request as the C-core makes it, with fields replaced."""
    return hs.HandshakerReq(
        client_start=hs.StartClientHandshakeReq(
            **{
                "handshake_security_protocol": hs.ALTS,
                "application_protocols": ["grpc"],
                "record_protocols": ["ALTSRP_GCM_AES128_REKEY"],
                "rpc_versions": versions(),
                "max_frame_size": 1 << 20,
                **fields,
            }
        )
    )


def server_start(in_bytes: bytes = b"", **fields: Any) -> hs.HandshakerReq:
    """A start request as the C-core makes it, with fields replaced."""
    parameters = hs.ServerHandshakeParameters(record_protocols=["ALTSRP_GCM_AES128_REKEY"])
    return hs.HandshakerReq(
        server_start=hs.StartServerHandshakeReq(
            **{
                "application_protocols": ["grpc"],
                "handshake_parameters": {int(hs.ALTS): parameters},
                "in_bytes": in_bytes,
                "rpc_versions": versions(),
                "max_frame_size": 1 << 20,
                **fields,
            }
        )
    )


def next_request(in_bytes: bytes) -> hs.HandshakerReq:
    """Bytes of the peer."""
    return hs.HandshakerReq(next=hs.NextHandshakeMessageReq(in_bytes=in_bytes))
