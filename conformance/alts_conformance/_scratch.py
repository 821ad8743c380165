"""Temporary folders that are gone after a run, and at the latest after the next one: they hold private keys.

A run that is killed cannot clean up. Each folder therefore has a lock that its run holds as long as it lives, and that
the kernel lets go of when it dies, however that happens: what can be locked belongs to nobody any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A new folder below the one for temporary files, removed at the end. Removes what dead runs left there, too.

    Args:
        prefix: of its name, and of the names of the folders that are looked at.

    Raises:
        OSError: it cannot be made.
    """
    sweep(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lock = os.open(folder / f"{_LOCK}.new", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / f"{_LOCK}.new").rename(folder / _LOCK)  # under this name it is never seen free
            yield folder
        finally:
            os.close(lock)


def sweep(prefix: str) -> list[Path]:
    """Remove folders of runs that have ended without doing so; those that were removed.

    Only folders of this user with a lock that nobody holds: a folder in the making has none yet.
    """
    removed = []
    with contextlib.suppress(OSError):
        for folder in sorted(Path(tempfile.gettempdir()).glob(f"{prefix}*")):
            with contextlib.suppress(OSError):
                if _is_abandoned(folder):
                    shutil.rmtree(folder, ignore_errors=True)
                    removed.append(folder)
    return removed


def _is_abandoned(folder: Path) -> bool:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(lock)
    return True
