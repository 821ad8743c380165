"""The services' database: SQLite, every transaction on disk before it is answered (SPEC 13.1.9).

`kill -9` at any moment leaves the state before or after a transaction, never between.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import ConfigurationError
from ..realm import _files
from ._errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BUSY_MILLISECONDS = 10_000

Row = tuple[object, ...]


def require_database(path: Path) -> Path:
    """Return the path of a database that has to be there: one made anew would have forgotten what others rely on.

    Raises:
        StoreError: it is not.
    """
    if not path.is_file():
        raise StoreError(f"{path}: is missing; without what it held this service cannot go on")
    return path


class Store:
    """One service's database.

    Args:
        path: of the file, which is made (mode 0600) if it is missing; None: in memory, for tests.
        kind: of the service, 1 to 2^31 - 1; a file of another kind is refused.
        schema: statements that make it; their number is the version of the file. A file of an earlier version is
            brought to this one by the statements that it lacks: a later version has its own at the end.

    Raises:
        StoreError: damaged, of another kind or version, too open, or not to be opened.
    """

    def __init__(self, path: Path | None, kind: int, schema: Sequence[str]) -> None:
        self._writing = False
        name = ":memory:"
        if path is not None:
            name = str(path)
            self._prepare(path)
        try:
            self._connection = sqlite3.connect(name, isolation_level=None, timeout=_BUSY_MILLISECONDS / 1000)
        except sqlite3.Error as error:
            raise StoreError(f"{name}: {error}") from None
        self._name = name
        try:
            with self._explained():
                # WAL with FULL: each commit is synchronised before it returns, and readers are never in the way
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
            self._initialise(kind, schema)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._connection.close()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction: all of it is on disk when the block ends, or nothing of it if the block raises.

        Raises:
            StoreError: the disk is full, the file damaged or locked.
        """
        assert not self._writing, "transactions do not nest"
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            self._writing = True
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._writing = False

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Return the rows of a SELECT. Raises StoreError as `write`."""
        with self._explained():
            return list(self._connection.execute(query, parameters))

    def _initialise(self, kind: int, schema: Sequence[str]) -> None:
        with self.write() as tx:
            found = tx.execute("PRAGMA application_id").fetchone()[0]
            version = tx.execute("PRAGMA user_version").fetchone()[0]
            if found == 0 and version == 0 and not tx.execute("SELECT 1 FROM sqlite_schema").fetchone():
                for statement in schema:
                    tx.execute(statement)
                tx.execute(f"PRAGMA application_id = {kind:d}")
                tx.execute(f"PRAGMA user_version = {len(schema):d}")
            elif found == kind and 0 < version < len(schema):
                for statement in schema[version:]:
                    tx.execute(statement)
                tx.execute(f"PRAGMA user_version = {len(schema):d}")
            elif (found, version) != (kind, len(schema)):
                raise StoreError(f"{self._name}: is the database of another service or version")

    @staticmethod
    def _prepare(path: Path) -> None:
        try:
            path.parent.mkdir(mode=_files.DIRECTORY_MODE, parents=True, exist_ok=True)
            _files.check_directory(path.parent)
            # made here, so that it never has a wider mode; SQLite gives its side files the same
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _files.FILE_MODE))
            _files.check_mode(path, path.stat(), 0o077)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None
        except ConfigurationError as error:
            raise StoreError(str(error)) from None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._name}: {error}") from None
