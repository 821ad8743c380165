"""Just enough HTTP/2 and gRPC framing, as bytes, for scripted opponents: one client, one server, one call at a time."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from . import _payload


def frame_message(message: bytes) -> bytes:
    """A gRPC message with its 5-byte prefix (not compressed)."""
    return struct.pack(">BI", 0, len(message)) + message


def _send_all(h2_connection: h2.connection.H2Connection, stream: int, data: bytes, *, end_stream: bool) -> None:
    """DATA frames of at most 16 KiB; the whole must fit into the initial window (65535 bytes)."""
    for at in range(0, len(data), 16384):
        h2_connection.send_data(stream, data[at : at + 16384], end_stream=end_stream and at + 16384 >= len(data))


@dataclass(slots=True)
class Call:
    """What came back for one call."""

    status: int | None = None
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False

    @property
    def message(self) -> bytes:
        """The first message of the body."""
        return bytes(self.body[5:])


class GrpcClient:
    """The client's half of a connection: bytes out, bytes in."""

    def __init__(self) -> None:
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(1 << 24)
        self.calls: dict[int, Call] = {}

    def request(self, method: str, message: bytes) -> int:
        """Queue a unary call; returns its stream number."""
        stream = self._h2.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", _payload.SERVICE + method),
            (":authority", "opponent"),
            ("te", "trailers"),
            ("content-type", "application/grpc+proto"),
            ("user-agent", "grpc-opponent/1"),
        ]
        self._h2.send_headers(stream, headers)
        _send_all(self._h2, stream, frame_message(message), end_stream=True)
        self.calls[stream] = Call()
        return stream

    def outgoing(self) -> bytes:
        """The bytes to send now."""
        return bytes(self._h2.data_to_send())

    def receive(self, data: bytes) -> None:
        """Take plaintext from the server."""
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived) and event.stream_id is not None:
                self.calls[event.stream_id].body += event.data or b""
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            elif isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                headers = {str(name): str(value) for name, value in event.headers or []}
                if "grpc-status" in headers and event.stream_id is not None:
                    self.calls[event.stream_id].status = int(headers["grpc-status"])
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset) and event.stream_id is not None:
                self.calls[event.stream_id].ended = True


class GrpcServer:
    """The server's half: answers every unary call of the test application."""

    def __init__(self) -> None:
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._bodies: dict[int, bytearray] = {}
        self.answered = 0

    def outgoing(self) -> bytes:
        """The bytes to send now."""
        return bytes(self._h2.data_to_send())

    def receive(self, data: bytes) -> None:
        """Take plaintext from the client; answers are queued."""
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived) and event.stream_id is not None:
                self._bodies[event.stream_id] = bytearray()
            elif isinstance(event, h2.events.DataReceived) and event.stream_id is not None:
                self._bodies[event.stream_id] += event.data or b""
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self._bodies:
                self._answer(event.stream_id)

    def _answer(self, stream: int) -> None:
        response = _payload.responses_to(bytes(self._bodies.pop(stream)[5:]))[0]
        self._h2.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc+proto")])
        _send_all(self._h2, stream, frame_message(response), end_stream=False)
        self._h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        self.answered += 1
