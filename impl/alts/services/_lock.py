"""One process at work in a state directory: two would sign two files with one number, and rotate over each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from .._errors import ConfigurationError
from ..realm import _files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT, SERVICE = "agent", "service"
"""What is in a state directory: the machine's master key, with all that keeps it fresh; a service's own state."""


@contextlib.contextmanager
def only_process(state: Path, *parts: str) -> Iterator[None]:
    """Hold `parts` of a state directory, which is made if it is missing; the system frees them when this process ends.

    Commands that look into a service's database or change it (`alts issuance`) do not ask: each is one transaction.

    Raises:
        ConfigurationError: another process holds one, or it cannot be written.
    """
    with contextlib.ExitStack() as held:
        for part in parts:
            path = state / f".{part}.lock"
            with _files.explained(path):
                state.mkdir(mode=_files.DIRECTORY_MODE, parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _files.FILE_MODE)
                held.callback(os.close, descriptor)  # the file stays: who comes next may have it open already
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ConfigurationError(f"{state}: another process serves from this state directory") from None
        yield
