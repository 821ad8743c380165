"""Resumption keys of a realm directory, and `alts pki resumption-key` (SPEC 15; CRED-3, ISSUE-8, ISSUE-9)."""

from __future__ import annotations

import argparse
import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alts import Category, ConfigurationError, ResumptionKeys
from alts.realm import RealmDirectory, cli

NOW = 1_800_000_000
RANDOM = random.Random(11)
WEB = "shop/web/prod"
HOUR = 3600


@pytest.fixture
def realm(tmp_path: Path) -> RealmDirectory:
    made = RealmDirectory.create(tmp_path / "realm", name="tests", random=RANDOM.randbytes)
    for name, identity in (("web", WEB), ("db", "shop/db")):
        made.issue(name, identity, Category.WORKLOAD, clock=lambda: 0, random=RANDOM.randbytes)
    return made


def rotate(realm: RealmDirectory, now: int = NOW, identity: str = WEB) -> ResumptionKeys:
    return realm.rotate_resumption_key(identity, clock=lambda: now, random=RANDOM.randbytes)


def file_of(realm: RealmDirectory) -> Path:
    [path] = (realm.path / "resumption").iterdir()
    return path


def pki(*words: object) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args([str(word) for word in words]))


@pytest.mark.req("CRED-3", "ISSUE-9")
def test_an_identity_has_no_key_until_it_is_given_one_and_then_every_reader_has_the_same(realm: RealmDirectory) -> None:
    assert realm.resumption_keys(WEB) is None
    made = rotate(realm)
    assert (len(made.resumption_id), made.epochs, len(made.keys[1])) == (16, [1], 32)
    assert realm.resumption_keys(WEB) == RealmDirectory.load(realm.path).resumption_keys(WEB) == made
    assert realm.resumption_keys("shop/db") is None
    other = rotate(realm, identity="shop/db")
    assert other.resumption_id != made.resumption_id
    assert other.keys[1] != made.keys[1]


@pytest.mark.req("ISSUE-8")
def test_rotation_keeps_the_id_and_every_epoch_under_which_a_ticket_can_live(realm: RealmDirectory) -> None:
    first = rotate(realm)
    second = rotate(realm, NOW + 40 * HOUR)
    assert second.resumption_id == first.resumption_id
    assert second.keys == {1: first.keys[1], 2: second.keys[2]}  # epoch 1 sealed until now
    assert rotate(realm, NOW + 64 * HOUR).epochs == [1, 2, 3]  # its last ticket ends at this moment, by a clock behind
    assert rotate(realm, NOW + 64 * HOUR + 301).epochs == [2, 3, 4]


@pytest.mark.req("ISSUE-8")
def test_at_most_eight_epochs_are_kept(realm: RealmDirectory) -> None:
    for number in range(12):
        keys = rotate(realm, NOW + number)
    assert keys.epochs == list(range(5, 13))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(st.integers(0, 100 * HOUR), min_size=1, max_size=10))
def test_whatever_the_times_the_newest_seals_and_none_is_dropped_within_a_day(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    made = RealmDirectory.create(tmp_path_factory.mktemp("realm") / "r", name="r", random=RANDOM.randbytes)
    made.issue("web", WEB, Category.WORKLOAD, clock=lambda: NOW, random=RANDOM.randbytes)
    now, replaced = NOW, dict[int, int]()
    for number, step in enumerate(steps, start=1):
        now += step
        keys = rotate(made, now)
        replaced[number - 1] = now
        assert keys.epochs[-1] == number
        for epoch in range(max(1, number - 7), number):
            assert (epoch in keys.keys) is (now < replaced[epoch] + 24 * HOUR + 300)


def test_modes_and_content(realm: RealmDirectory) -> None:
    made = rotate(realm)
    path = file_of(realm)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text()) == {
        "format": 1,
        "identity": WEB,
        "resumption_id": made.resumption_id.hex(),
        "keys": [{"epoch": 1, "created": NOW, "key": made.keys[1].hex()}],
    }
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="too open"):
        realm.resumption_keys(WEB)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"identity": "shop/db"},
        {"identity": None},
        {"resumption_id": "00"},
        {"resumption_id": "G" * 32},
        {"resumption_id": 7},
        {"keys": []},
        {"keys": {}},
        {"keys": [{"epoch": 1, "created": NOW}]},
        {"keys": [7]},
        {"epoch": 0},
        {"epoch": True},
        {"epoch": 1 << 64},
        {"created": -1},
        {"created": "1"},
        {"key": "00"},
        {"key": 0},
        {"more": 1},
    ],
)
def test_a_damaged_file_is_a_clear_error_without_the_key(realm: RealmDirectory, change: dict[str, Any]) -> None:
    made = rotate(realm)
    path = file_of(realm)
    document = json.loads(path.read_text())
    broken = copy.deepcopy(document)
    for name, value in change.items():
        (broken["keys"][0] if name in ("epoch", "created", "key") else broken)[name] = value
    for text in (json.dumps(broken), path.read_text()[:-9]):
        path.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            realm.resumption_keys(WEB)
        assert str(path) in str(caught.value)
        assert made.keys[1].hex() not in str(caught.value)
        with pytest.raises(ConfigurationError):
            rotate(realm)  # damage is never overwritten
        path.write_text(json.dumps(document))
    assert realm.resumption_keys(WEB) == made


def test_descending_epochs_and_nine_of_them_are_refused(realm: RealmDirectory) -> None:
    rotate(realm)
    rotate(realm)
    path = file_of(realm)
    document = json.loads(path.read_text())
    nine = [{**document["keys"][0], "epoch": number} for number in range(1, 10)]
    for keys in (document["keys"][::-1], document["keys"][:1] * 2, nine):
        path.write_text(json.dumps({**document, "keys": keys}))
        with pytest.raises(ConfigurationError, match=r"keys|key 2"):
            realm.resumption_keys(WEB)


def test_the_command_makes_rotates_and_shows(realm: RealmDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert pki("show", realm.path, "web") == 0
    assert "no key" in capsys.readouterr().out
    assert pki("resumption-key", realm.path, WEB) == 0
    keys = realm.resumption_keys(WEB)
    assert keys is not None
    name = keys.resumption_id.hex()
    assert capsys.readouterr().out == f"resumption key of {WEB}: ID {name}, epoch 1\n"
    assert pki("resumption-key", realm.path, WEB) == 0
    assert capsys.readouterr().out == f"resumption key of {WEB}: ID {name}, epoch 2; still opens 1\n"
    assert pki("show", realm.path, "web") == 0
    shown = capsys.readouterr().out
    assert f"ID {name}, epochs 1, 2" in shown
    assert pki("show", realm.path, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["resumption"] for entry in document["credentials"]] == [None, {"id": name, "epochs": [1, 2]}]
    secret = file_of(realm).read_text()
    for entry in json.loads(secret)["keys"]:
        assert entry["key"] not in shown + json.dumps(document)


def test_a_key_for_nobody_is_refused(realm: RealmDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert pki("resumption-key", realm.path, "web") == 3  # a credential's name is no identity
    assert "identities: shop/db, shop/web/prod" in capsys.readouterr().err
    assert not (realm.path / "resumption").exists()


def test_no_key_in_a_repr(realm: RealmDirectory) -> None:
    keys = rotate(realm)
    assert keys.keys[1].hex() not in repr(keys)
    assert repr(keys.keys[1])[2:-1] not in repr(keys)
