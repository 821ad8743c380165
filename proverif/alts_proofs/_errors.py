"""Errors of the proofs package."""

from __future__ import annotations


class ProofsError(Exception):
    """Root of all errors of this package."""


class UsageError(ProofsError):
    """The caller asked for something that does not exist: an engine, a file."""


class ManifestError(ProofsError):
    """The expected results do not fit their schema, the scripts on disk, or each other."""


class EngineUnavailable(ProofsError):
    """The engine cannot run here; the message says why and what to do about it."""


class EngineFailure(ProofsError):
    """The engine ran and what it did cannot be trusted: a crash, an error message, other queries than expected."""
