"""How the service refuses a request: a status of the stream, with a detail for the stack's developer (SPEC 9.6)."""

from __future__ import annotations

import enum

from .._errors import UsageError


class Status(enum.IntEnum):
    """The gRPC status codes that this service ends a stream with, or puts into a response; gRPC's own numbers."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    INTERNAL = 13
    UNAUTHENTICATED = 16


class RequestError(UsageError):
    """A request that cannot be served; it ends the stream.

    Attributes:
        status: of the stream.
        detail: what was wrong and the requirement behind it; no secret.
    """

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.status.name}: {self.detail}"
