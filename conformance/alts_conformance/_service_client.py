"""A client of the handshaker service that says exactly what a case wants: raw requests, raw responses, gRPC status.

Uses grpclib in this process: no C-core, whose threads do not go with the worker's child processes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpclib.client
import grpclib.const
import grpclib.exceptions

from alts_schema import handshaker_pb2 as hs

from ._verdict import CaseFailed
from .drivers.reference import RawCodec

PATH = "/grpc.gcp.HandshakerService/DoHandshake"


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
    """One open stream."""

    def __init__(self, channel: grpclib.client.Channel) -> None:
        self._request = channel.request(PATH, grpclib.const.Cardinality.STREAM_STREAM, bytes, bytes)
        self._stream: Any = None
        self.log = Conversation()

    async def open(self) -> None:
        """Start the stream."""
        self._stream = await self._request.__aenter__()
        await self._stream.send_request()

    async def send(self, request: hs.HandshakerReq | bytes, *, last: bool = False) -> None:
        """Send a request."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        await self._stream.send_message(data, end=last)

    async def receive(self, seconds: float = 8.0) -> hs.HandshakerResp | None:
        """The next response; None when the service has ended the stream (``log.status`` then says how).

        Raises:
            CaseFailed: nothing came in time.
        """
        try:
            async with asyncio.timeout(seconds):
                message = await self._stream.recv_message()
                if message is None:
                    await self._stream.recv_trailing_metadata()
        except TimeoutError:
            raise CaseFailed(f"the service neither answered nor ended the stream within {seconds:g} s") from None
        except grpclib.exceptions.GRPCError as error:
            self.log.status, self.log.detail = error.status.value, str(error.message)
            return None
        except (grpclib.exceptions.StreamTerminatedError, OSError) as error:
            self.log.status, self.log.detail = grpclib.const.Status.UNAVAILABLE.value, str(error)
            return None
        if message is None:
            self.log.status = 0
            return None
        response = hs.HandshakerResp.FromString(message)
        self.log.responses.append(response)
        return response

    async def exchange(self, request: hs.HandshakerReq | bytes) -> hs.HandshakerResp | None:
        """Send a request and take its response."""
        await self.send(request)
        return await self.receive()

    async def abandon(self) -> None:
        """Reset the stream without a word."""
        if self._stream is not None:
            try:
                await self._stream.reset_stream()
            except (grpclib.exceptions.ProtocolError, OSError):
                pass
            try:
                await self._request.__aexit__(None, None, None)
            except (grpclib.exceptions.GRPCError, grpclib.exceptions.StreamTerminatedError, OSError):
                pass


def channel_to(host: str, port: int) -> grpclib.client.Channel:
    """A plain channel with raw messages."""
    return grpclib.client.Channel(host, port, codec=RawCodec())


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
