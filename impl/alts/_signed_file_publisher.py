"""The signer's side of a signed file: a sequence number that never comes twice, and a file that appears whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import ConfigurationError
from ._signed_file import HEADER_SIZE, LARGEST, Header, Kind, SignedFileRefused, peek
from .realm import _files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FORMAT = 1


class Publisher:
    """Writes the signed files of one signer to one path.

    The sequence number is taken and on disk, in `NAME.sequence` beside the file, before a file has it. An interrupted
    publication loses a number and never uses one twice: machines would refuse the second file (SPEC 13.2). Whatever
    else lies where the file shall be, such as the signer's key, is left as it is and refused.

    Args:
        kind: of file.
        path: where machines, or what distributes to them, read it. The directory exists.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: the path names no file.
    """

    def __init__(self, kind: Kind, path: Path, *, clock: Callable[[], float]) -> None:
        self._kind = kind
        self._path = path
        self._state = _files.beside(path, ".sequence")
        self._clock = clock

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self._path

    def publish(self, make: Callable[[int, int], bytes], *, sequence: int | None = None) -> Header:
        """Make the next file and put it in its place, atomically and durably.

        Args:
            make: is given sequence number and issue time, in seconds since the epoch; returns the signed file.
            sequence: the number to use; it must be higher than every one before. Default: the next.

        Returns:
            The header of the file, which lies at `path` now.

        Raises:
            ConfigurationError: a path cannot be read or written, something else lies there, or the number is not
                higher. What was there stays.
        """
        with _files.locked(self._path.parent):
            last = max(self._taken(), self._published())
            number = last + 1 if sequence is None else sequence
            if number <= last:
                raise ConfigurationError(f"{self._path}: sequence number {number}, but {last} was used before")
            if number > LARGEST:
                raise ConfigurationError(f"{self._path}: the last sequence number was used")
            _files.replace(self._state, _files.json_bytes({"sequence": number}, version=_FORMAT))
            data = make(number, int(self._clock()))
            _files.replace(self._path, data)
        return peek(self._kind, data)

    def _taken(self) -> int:
        with _files.explained(self._state):
            if not self._state.exists():
                return 0
        number = _files.read_json(self._state, {"sequence"}, version=_FORMAT)["sequence"]
        if type(number) is not int or number < 0:
            raise ConfigurationError(f"{self._state}: is not a sequence number")
        return number

    def _published(self) -> int:
        """Return the sequence number of the file at `path`; 0: there is none, an empty one, or only a part of one."""
        with _files.explained(self._path):
            if not self._path.exists():
                return 0
            with self._path.open("rb") as stream:
                start = stream.read(HEADER_SIZE)
        magic = self._kind.value
        if start[: len(magic)] != magic[: len(start)]:
            what = self._kind.name.lower()
            raise ConfigurationError(f"{self._path}: exists already, and is no signed file ({what}) to be replaced")
        try:
            return peek(self._kind, start).sequence
        except SignedFileRefused:
            return 0
