"""What is told of a trial while it runs: sentences, steps of a sequence chart, and the frames on the wire."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import DecodeError

from alts import ErrorCode
from alts_schema.certificate_pb2 import HandshakeCertificate, HandshakeCertificateBody
from alts_schema.handshake_pb2 import Alert, ClientFinished, ClientInit, Mode, ServerFinished, ServerInit

from .._frames import Frame

CLIENT_INIT, SERVER_INIT, SERVER_FINISHED, CLIENT_FINISHED, ALERT, DATA = 16, 17, 18, 19, 31, 6
ATTACKER = "attacker"


class Story:
    """Collects; holds names, words and bytes that were on the wire, and never a key.

    Args:
        tell: is given each sentence as it is said.
    """

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, str, str, str]] = []
        self.frames: list[str] = []
        self._tell = tell

    def say(self, text: str) -> None:
        """A sentence."""
        self.lines.append(text)
        if self._tell is not None:
            self._tell(text)

    def step(self, source: str, target: str, label: str, note: str = "") -> None:
        """A step of the chart; source and target are the same for what somebody does alone."""
        self.steps.append((source, target, label, note))

    def frame(self, source: str, target: str, frame: Frame, note: str = "") -> None:
        """A frame on the wire."""
        self.step(source, target, describe(frame), note)
        self.frames.append(
            f"{source} -> {target}: {describe(frame)}{f' ({note})' if note else ''}\n  {frame.raw.hex()}"
        )


def identity_of(certificate: bytes) -> str:
    """The identity in a handshake certificate, as anybody can read it; empty if it is none."""
    try:
        return HandshakeCertificateBody.FromString(HandshakeCertificate.FromString(certificate).body).identity
    except DecodeError:
        return ""


def describe(frame: Frame) -> str:
    """A frame in a few words: what everybody on the wire can read."""
    try:
        return _describe(frame)
    except DecodeError:
        return f"frame of type {frame.type}, damaged"


def _describe(frame: Frame) -> str:
    if frame.opaque:
        return "bytes that are no frame"
    payload = frame.payload
    match frame.type:
        case 16:
            init = ClientInit.FromString(payload)
            ticket = ", with a ticket" if init.HasField("ticket") else ""
            return f"ClientInit of {identity_of(init.certificate)}, offers {' '.join(init.handshake_ciphers)}{ticket}"
        case 17:
            answer = ServerInit.FromString(payload)
            who = f" of {identity_of(answer.certificate)}" if answer.certificate else ""
            return f"ServerInit{who}, {Mode.Name(answer.mode)}, {answer.handshake_cipher}"
        case 18 | 19:
            kind = ServerFinished if frame.type == SERVER_FINISHED else ClientFinished
            ticket = " with a ticket" if kind.FromString(payload).HasField("ticket") else ""
            return f"{kind.DESCRIPTOR.name}{ticket}"
        case 31:
            code = Alert.FromString(payload).code
            name = ErrorCode(code).name if code in ErrorCode.__members__.values() else str(code)
            return f"alert {name}"
        case 6:
            return "record"
        case other:
            return f"frame of type {other}"
