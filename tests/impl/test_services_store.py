"""The services' database: a transaction is there whole or not at all; damage and full disks are clear errors."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from alts.services import Store, StoreError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = ("CREATE TABLE things (name TEXT PRIMARY KEY, size BLOB)",)


def names(store: Store) -> list[object]:
    return [row[0] for row in store.rows("SELECT name FROM things ORDER BY name")]


@pytest.mark.req("ISSUE-3")
def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.sqlite", 1, SCHEMA)
    with store.write() as tx:
        tx.execute("INSERT INTO things VALUES ('kept', NULL)")

    def add(*names: str) -> None:
        with store.write() as tx:
            for name in names:
                tx.execute("INSERT INTO things VALUES (?, NULL)", (name,))
                if name == "fail":
                    raise KeyError(name)

    with pytest.raises(KeyError):
        add("lost", "fail")
    with pytest.raises(StoreError):
        add("lost too", "kept")
    assert names(store) == ["kept"]
    store.close()
    store = Store(tmp_path / "a.sqlite", 1, SCHEMA)
    assert names(store) == ["kept"]
    store.close()
    store.close()


@pytest.mark.req("ISSUE-3")
def test_every_commit_is_synchronised(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.sqlite", 1, SCHEMA)
    assert store.rows("PRAGMA synchronous") == [(2,)], "FULL"
    assert store.rows("PRAGMA journal_mode") == [("wal",)]
    store.close()


def test_the_file_is_private_and_a_file_that_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.sqlite"
    Store(path, 1, SCHEMA).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o640)
    with pytest.raises(StoreError, match="too open"):
        Store(path, 1, SCHEMA)


@pytest.mark.parametrize("damage", ["other kind", "later version", "no database", "a foreign database", "truncated"])
def test_what_is_not_ours_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.sqlite"
    kind: int = 1
    schema: tuple[str, ...] = SCHEMA
    Store(path, kind, (*SCHEMA, "CREATE TABLE more (name TEXT)") if damage == "later version" else SCHEMA).close()
    if damage == "other kind":
        kind = 2
    elif damage == "later version":
        pass
    elif damage == "no database":
        path.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    elif damage == "a foreign database":
        path.unlink()
        with sqlite3.connect(path) as foreign:
            foreign.execute("CREATE TABLE other (name TEXT)")
        foreign.close()
        path.chmod(0o600)
    else:
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError):
        Store(path, kind, schema).rows("SELECT name FROM things")


def test_a_file_of_an_earlier_version_is_brought_to_this_one(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    store = Store(path, 1, SCHEMA)
    with store.write() as tx:
        tx.execute("INSERT INTO things VALUES ('kept', NULL)")
    store.close()
    later = (*SCHEMA, "CREATE TABLE more (name TEXT)", "INSERT INTO more SELECT name FROM things")
    with pytest.raises(StoreError):
        Store(path, 1, (*later, "no statement"))  # nothing of it is there then
    for _ in range(2):
        store = Store(path, 1, later)
        assert (names(store), store.rows("SELECT name FROM more")) == (["kept"], [("kept",)])
        store.close()
    with pytest.raises(StoreError, match="another service or version"):
        Store(path, 1, SCHEMA)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.sqlite", 1, SCHEMA)
    with store.write() as tx:
        tx.execute("INSERT INTO things VALUES ('kept', NULL)")
    store.rows("PRAGMA max_page_count = 8")
    with pytest.raises(StoreError, match="full"), store.write() as tx:
        tx.execute("INSERT INTO things VALUES ('large', zeroblob(1000000))")
    assert names(store) == ["kept"]
    store.close()
