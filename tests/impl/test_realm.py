"""Realm directories: made, loaded, damaged in every way, written by several at once, interrupted (SPEC 15)."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts import (
    Category,
    Configuration,
    ConfigurationError,
    Credential,
    Environment,
    ErrorCode,
    Handshake,
    Role,
)
from alts.realm import RealmDirectory
from tests.impl.pair import NOW
from tests.impl.realm_tools import RANDOM, issue

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ("signing/ed25519.key", "credentials/web/x25519.key", "credentials/web/master.key")
FILES = (
    "realm.json",
    "policy.json",
    "revoked.json",
    "next_revocation_id.json",
    "signing/ed25519.key",
    "signing/ed25519.pub",
    "credentials/web/credential.json",
    "credentials/web/handshake.cert",
    "credentials/web/master.cert",
    "credentials/web/x25519.key",
    "credentials/web/master.key",
)


def use(path: Path) -> None:
    """Read everything that is in a realm, and issue one more."""
    realm = RealmDirectory.load(path)
    for name in realm.names():
        realm.master(name)
    issue(realm, "further")
    RealmDirectory.load(path).master("further")


def meet(client: Credential, server: Credential, realm: RealmDirectory) -> ErrorCode | None:
    """Run a handshake a minute later; return the first error."""
    environment = Environment(lambda: NOW + 60.0, RANDOM.randbytes)
    ends = [
        Handshake(role, Configuration(credential, realm.trust()), environment)
        for role, credential in ((Role.CLIENT, client), (Role.SERVER, server))
    ]
    ends[0].start()
    for _ in range(2):
        ends[1].receive_data(ends[0].data_to_send())
        ends[0].receive_data(ends[1].data_to_send())
    found = [end.error.code for end in ends if end.error is not None and end.error.code is not ErrorCode.PEER_ALERT]
    assert found or all(end.result is not None for end in ends)
    return found[0] if found else None


@pytest.mark.req("CRED-1", "CRED-2", "CRED-4", "TRUST-1")
def test_credentials_from_disk_complete_a_handshake(directory: Path) -> None:
    realm = RealmDirectory.load(directory)
    assert realm.name == "tests"
    assert realm.names() == ("db", "web")
    assert meet(realm.credential("web"), realm.credential("db"), realm) is None


@pytest.mark.req("TRUST-3", "ISSUE-5", "ISSUE-6", "REVOKE-2", "REVOKE-3", "REVOKE-5")
def test_the_three_categories(directory: Path) -> None:
    realm = RealmDirectory.load(directory)
    human = issue(realm, "hugo", Category.HUMAN).parsed
    machine = issue(realm, "m1", Category.MACHINE, boundary="dc1").parsed
    workload = issue(realm, "job").parsed
    assert (human.body.not_before, human.body.not_after) == (NOW, NOW + 72000)
    assert human.body.revocation_id == human.master_body.revocation_id
    assert machine.body.not_after == workload.body.not_after == 0
    assert machine.body.boundary == "dc1"
    assert (human.master_body.issuer, machine.master_body.issuer) == ("ca", "ca")
    assert workload.master_body.issuer == "cluster-master"
    assert list(workload.master_body.workload_identities) == ["shop/job"]
    for cert, category in ((human, 1), (machine, 2), (workload, 3)):
        assert cert.body.revocation_id >> 56 == category
    assert realm.master("m1").certificate == machine.signed.master


@pytest.mark.req("POLICY-2", "POLICY-3", "ISSUE-2")
def test_mallory_gets_a_certificate_and_is_stopped_by_the_peer(directory: Path) -> None:
    realm = RealmDirectory.load(directory)
    mallory = issue(realm, "loot", Category.HUMAN, identity="network-admin", issuer="mallory")
    assert meet(mallory, realm.credential("db"), realm) is ErrorCode.POLICY_DENIED


@pytest.mark.req("REVOKE-6")
def test_a_revocation_lasts(directory: Path) -> None:
    realm = RealmDirectory.load(directory)
    web, db = realm.credential("web"), realm.credential("db")
    after = realm.revoke(web.parsed.master_body.revocation_id)
    assert meet(web, db, realm) is None
    assert meet(web, db, after) is ErrorCode.CERTIFICATE_REVOKED
    assert RealmDirectory.load(directory) == after
    for wrong in (0, -1, 1 << 64, 5 << 56):
        with pytest.raises(ConfigurationError, match="not a revocation ID"):
            realm.revoke(wrong)


@pytest.mark.req("REVOKE-1")
def test_times_are_as_given(directory: Path) -> None:
    realm = RealmDirectory.load(directory)
    old = issue(realm, "old", not_before=NOW - 200, not_after=NOW - 100)
    assert meet(old, realm.credential("db"), realm) is ErrorCode.CERTIFICATE_EXPIRED


def test_modes(directory: Path) -> None:
    old = os.umask(0)
    try:
        fresh = directory.with_name("fresh")
        issue(RealmDirectory.create(fresh, name="x", random=RANDOM.randbytes), "web")
    finally:
        os.umask(old)
    for path in (fresh, *fresh.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("", {}),
        (".hidden", {}),
        ("a/b", {}),
        ("..", {}),
        ("x" * 64, {}),
        ("ok", {"identity": ""}),
        ("ok", {"identity": "a//b"}),
        ("ok", {"identity": "*"}),
        ("ok", {"issuer": "not an identity"}),
        ("ok", {"boundary": "a/b"}),
        ("ok", {"not_before": -1}),
        ("ok", {"not_after": 2**70}),
        ("ok", {"not_before": 20, "not_after": 10}),
        ("ok", {"category": Category.HUMAN, "not_after": NOW + 72001}),
        ("ok", {"category": Category.HUMAN, "not_after": 0}),
        ("web", {}),
    ],
)
def test_what_cannot_be_issued_leaves_nothing(directory: Path, name: str, options: dict[str, Any]) -> None:
    realm = RealmDirectory.load(directory)
    with pytest.raises(ConfigurationError):
        issue(realm, name, **options)
    assert realm.names() == ("db", "web")
    assert not list(directory.rglob(".new-*"))


def damage_missing(path: Path) -> None:
    path.unlink()


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def damage_noise(path: Path) -> None:
    path.write_bytes(b"\x00\xff{[\n" * 30)


def damage_huge(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate((64 << 20) + 1)


def damage_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damage_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def damage_open(path: Path) -> None:
    path.chmod(0o666)


DAMAGES = [damage_missing, damage_empty, damage_truncated, damage_noise, damage_huge]
DAMAGES += [damage_directory, damage_fifo, damage_open]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.removeprefix("damage_"))
def test_every_damage_is_a_clear_error(directory: Path, file: str, damage: Callable[[Path], None]) -> None:
    path = directory / file
    secret = path.read_bytes()[:40]
    damage(path)
    with pytest.raises(ConfigurationError) as caught:
        use(directory)
    text = str(caught.value)
    assert str(path.parent if path.suffix == ".cert" or file == "realm.json" else path) in text
    if file in KEYS:
        assert secret.decode() not in text


@pytest.mark.parametrize("file", KEYS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_private_key_that_others_can_read_is_refused(directory: Path, file: str, mode: int) -> None:
    (directory / file).chmod(mode)
    with pytest.raises(ConfigurationError, match="too open; run: chmod 600"):
        use(directory)


@pytest.mark.parametrize("folder", ["", "signing", "credentials", "credentials/web"])
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_directory_that_others_can_write_is_refused(directory: Path, folder: str, mode: int) -> None:
    (directory / folder).chmod(mode)
    with pytest.raises(ConfigurationError, match="too open; run: chmod 700"):
        use(directory)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("credentials/db/x25519.key", "credentials/web/x25519.key"),
        ("credentials/db/master.key", "credentials/web/master.key"),
        ("credentials/db/master.cert", "credentials/web/master.cert"),
        ("credentials/db/handshake.cert", "credentials/web/handshake.cert"),
        ("credentials/db/credential.json", "credentials/web/credential.json"),
        ("credentials/db/x25519.key", "signing/ed25519.key"),
        ("credentials/db/x25519.key", "signing/ed25519.pub"),
    ],
)
def test_what_belongs_to_another_is_refused(directory: Path, source: str, target: str) -> None:
    shutil.copy(directory / source, directory / target)
    with pytest.raises(ConfigurationError, match=r"belong|describe|derived"):
        use(directory)


def test_what_is_no_realm_says_so(tmp_path: Path) -> None:
    for path, text in ((tmp_path, "no realm.json"), (tmp_path / "none", "missing"), (Path("/dev/null"), "not a dir")):
        with pytest.raises(ConfigurationError, match=text):
            RealmDirectory.load(path)


def test_a_stray_file_among_the_credentials_is_refused(directory: Path) -> None:
    (directory / "credentials/notes.txt").write_text("x")
    with pytest.raises(ConfigurationError, match=r"notes\.txt"):
        RealmDirectory.load(directory).names()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "format": st.sampled_from([1, 2, True, "1", None]),
        "name": _JSON,
        "next": _JSON,
        "revoked": _JSON | st.lists(st.text("0123456789abcdefX", min_size=15, max_size=17), max_size=3),
        "rules": _JSON | st.lists(st.fixed_dictionaries({"issuer": _JSON, "category": _JSON, "identity": _JSON})),
        "identity": _JSON,
        "category": _JSON,
        "more": _JSON,
    },
)


@settings(max_examples=200)
@given(st.sampled_from([file for file in FILES if file.endswith(".json")]), _DOCUMENTS | _JSON)
def test_any_json_is_accepted_or_a_configuration_error(
    pristine: Path, tmp_path_factory: pytest.TempPathFactory, file: str, document: Any
) -> None:
    path = Path(shutil.copytree(pristine, tmp_path_factory.mktemp("damaged") / "realm"))
    (path / file).write_text(json.dumps(document))
    try:
        use(path)
    except ConfigurationError:
        return
    finally:
        shutil.rmtree(path)
    assert document["format"] == 1


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"format": 1, "next": 1' + "0" * 5000 + "}", '{"format": 1, "format": 1, "next": 9}', '"\ud800"'],
    ids=["deep", "long number", "twice", "surrogate"],
)
def test_hostile_json(directory: Path, text: str) -> None:
    (directory / "next_revocation_id.json").write_text(text, errors="surrogatepass")
    with pytest.raises(ConfigurationError, match="is not JSON"):
        use(directory)


def test_create_where_something_is(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for path in (directory, tmp_path / "file", tmp_path / "file/inside", tmp_path / "none/inside", Path("/proc/realm")):
        with pytest.raises(ConfigurationError):
            RealmDirectory.create(path, name="x", random=RANDOM.randbytes)
    assert RealmDirectory.load(directory).names() == ("db", "web")
    assert RealmDirectory.create(tmp_path / "empty", name="x", random=RANDOM.randbytes).names() == ()
    for name in ("", "a/b", ".x"):
        with pytest.raises(ConfigurationError, match="name of the realm"):
            RealmDirectory.create(tmp_path / "new", name=name, random=RANDOM.randbytes)
    assert not (tmp_path / "new").exists()


def test_no_secret_in_a_repr(directory: Path) -> None:
    realm = RealmDirectory.load(directory)
    shown = repr((realm, realm.credential("web"), realm.master("web"), realm.signing_service()))
    for file in KEYS:
        key = (directory / file).read_text().strip()
        assert key not in shown
        assert repr(bytes.fromhex(key))[2:-1] not in shown
