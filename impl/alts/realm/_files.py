"""Small files that survive a crash: bounded reads, atomic writes, modes, a lock. What fails is a ConfigurationError."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700
MAX_FILE_SIZE = 1 << 20
KEY_SIZE = 32
_KEY = re.compile(rb"[0-9a-f]{%d}\n?" % (2 * KEY_SIZE))
_OTHERS_MAY_WRITE, _OTHERS_MAY_ANYTHING = 0o022, 0o077
_LOCK_SECONDS = 10.0


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError into a ConfigurationError that names the path and what the system said."""
    try:
        yield
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: is missing") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None


def read(path: Path, *, private: bool = False, limit: int = MAX_FILE_SIZE) -> bytes:
    """Return a regular file's bytes.

    Args:
        path: of the file.
        private: refuse it if anybody but the owner may read it; otherwise only if others may write it.
        limit: refuse it if it is larger, in bytes.

    Raises:
        ConfigurationError: it is missing, no regular file, too large, too open, or cannot be read.
    """
    with explained(path):
        # without O_NONBLOCK a FIFO in its place would hang here
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            stream = os.fdopen(descriptor, "rb")
        except OSError:  # a directory
            os.close(descriptor)
            raise
        with stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigurationError(f"{path}: is not a regular file")
            check_mode(path, status, _OTHERS_MAY_ANYTHING if private else _OTHERS_MAY_WRITE)
            data = stream.read(limit + 1)
    if len(data) > limit:
        raise ConfigurationError(f"{path}: is larger than {limit} bytes")
    return data


def check_directory(path: Path) -> None:
    """Refuse a path that is no directory, or that others may write.

    Raises:
        ConfigurationError: says which.
    """
    with explained(path):
        status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(f"{path}: is not a directory")
    check_mode(path, status, _OTHERS_MAY_WRITE)


def check_mode(path: Path, status: os.stat_result, forbidden: int) -> None:
    """Refuse a mode with a forbidden bit, and say how to mend it."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        wanted = DIRECTORY_MODE if stat.S_ISDIR(status.st_mode) else FILE_MODE
        raise ConfigurationError(f"{path}: mode {mode:04o} is too open; run: chmod {wanted:o} '{path}'")


def read_key(path: Path, *, private: bool = True) -> bytes:
    """Return the 32 bytes of a key file: 64 hexadecimal digits and an optional line end. Errors as in `read`."""
    text = read(path, private=private)
    if not _KEY.fullmatch(text):
        raise ConfigurationError(f"{path}: is not a key of {KEY_SIZE} bytes in hexadecimal")  # never shows the content
    return bytes.fromhex(text.decode("ascii"))


def read_json(
    path: Path, keys: set[str], *, version: int, limit: int = MAX_FILE_SIZE, private: bool = False
) -> dict[str, Any]:
    """Return a JSON object that has exactly `keys`, and `format` with the value `version`. Errors as in `read`."""
    data = read(path, limit=limit, private=private)
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigurationError(f"{path}: is not JSON: {reason}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: is not a JSON object")
    found = document.pop("format", None)
    if type(found) is not int or found != version:
        raise ConfigurationError(f"{path}: format is {found!r}, this version reads {version}")
    if set(document) != keys:
        wrong = sorted(set(document) ^ keys)
        raise ConfigurationError(f"{path}: missing or unknown: {', '.join(map(repr, wrong[:8]))}")
    return document


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return document


def json_bytes(document: dict[str, Any], *, version: int) -> bytes:
    """Return a JSON object for people and machines, `format` first."""
    return (json.dumps({"format": version, **document}, indent=2) + "\n").encode()


def key_bytes(key: bytes) -> bytes:
    """Return the content of a key file."""
    return key.hex().encode() + b"\n"


def replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, durably, mode 0600: a scratch file, fsync, rename, fsync of the directory.

    Raises:
        ConfigurationError: disk full, no permission and so on; the old content, if any, is still there. Also if there
            is a device or another special file: it would be replaced, and be no device any more.
    """
    with explained(path):
        refuse_special(path)
        descriptor, scratch = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchmod(descriptor, FILE_MODE)
                os.fsync(descriptor)
            os.rename(scratch, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
            raise
        sync_directory(path.parent)


def refuse_special(path: Path) -> None:
    """Refuse a path where a device, a FIFO or a socket is. Raises ConfigurationError."""
    with explained(path), contextlib.suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise ConfigurationError(f"{path}: is not a regular file")


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file in the same directory, whose name has `suffix` after the other's.

    Raises:
        ConfigurationError: `path` ends in no name, as an empty one, `.` and `/` do.
    """
    if not path.name:
        raise ConfigurationError(f"'{path}': is not the name of a file")
    return path.with_name(path.name + suffix)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Make a directory, mode 0700, that appears under its name with all that the body puts into it, or not at all.

    Yields:
        Where to put it.

    Raises:
        ConfigurationError: `path` is there already and not empty, or the system refuses.
    """
    with explained(path.parent):
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        yield scratch
        with explained(path):
            sync_directory(scratch)
            try:
                os.rename(scratch, path)
            except OSError as error:
                # ENOTEMPTY, EEXIST, ENOTDIR: something is there
                if path.is_symlink() or path.exists():
                    raise ConfigurationError(f"{path}: exists already") from error
                raise
            sync_directory(path.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def make_directory(path: Path) -> None:
    """Make a directory, mode 0700 whatever the umask."""
    with explained(path):
        path.mkdir(mode=DIRECTORY_MODE)
        path.chmod(DIRECTORY_MODE)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory's lock against other processes; the system frees it when this one ends.

    Raises:
        ConfigurationError: it cannot be had within 10 s.
    """
    path = directory / ".lock"
    with explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, FILE_MODE)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"{path}: held by another process") from None
                time.sleep(0.02)
            except OSError as error:
                raise ConfigurationError(f"{path}: {error.strerror}") from None
        yield
    finally:
        os.close(descriptor)
