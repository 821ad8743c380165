"""How a service refuses: a status and a sentence for people; and what it says when its database fails (SPEC 13.1)."""

from __future__ import annotations

import enum

from .._errors import AltsError, ConfigurationError


class Status(enum.IntEnum):
    """gRPC's own numbers, those that the issuance services use."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class RequestRefused(AltsError):
    """A service does not do what it was asked; nothing has changed.

    Attributes:
        status: of the call.
        detail: what was wrong, for people; holds no secret.
    """

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.status.name}: {self.detail}"


class StoreError(ConfigurationError):
    """The database is damaged, of another kind or version, locked, or the disk is full. Nothing has changed."""


def invalid(detail: str) -> RequestRefused:
    """Return the refusal of a malformed request."""
    return RequestRefused(Status.INVALID_ARGUMENT, detail)


def denied(detail: str) -> RequestRefused:
    """Return the refusal of a caller who may not ask for this."""
    return RequestRefused(Status.PERMISSION_DENIED, detail)
