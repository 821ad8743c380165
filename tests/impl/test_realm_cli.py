"""`alts pki init|issue|show|verify|revoke`: output and exit codes (SPEC 15)."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import pytest

from alts.realm import cli

if TYPE_CHECKING:
    from pathlib import Path


def pki(*words: object) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    try:
        return cli.run(parser.parse_args([str(word) for word in words]))
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture
def realm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "shop"
    assert pki("init", path) == 0
    assert pki("issue", path, "web", "--identity", "shop/web/prod", "--category", "workload", "--boundary", "dc1") == 0
    assert (
        capsys.readouterr().out
        == f"made the realm 'shop' in the directory {path}\nissued web: workload shop/web/prod\n"
    )
    return path


@pytest.mark.req("TRUST-5", "CRED-4")
def test_show_tells_people_who_it_is_and_whether_peers_believe_it(
    realm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pki("show", realm, "web") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    wanted = [
        "realm shop",
        "credential web",
        "identity shop/web/prod (workload)",
        "issuer cluster-master",
        "boundary dc1",
        "revocation ID 0300000000000002",
        "revocation ID 0300000000000001",
        "chain valid",
    ]
    assert [line for line in wanted if line not in lines] == []
    for key in realm.rglob("*.key"):
        assert key.read_text().strip() not in "\n".join(lines)


def test_show_as_a_document_with_a_finding(realm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pki("issue", realm, "old", "--identity", "old", "--category", "machine", "--not-before", "2001-01-01",
               "--not-after", "2001-02-03T04:05:06Z") == 0  # fmt: skip
    assert pki("issue", realm, "loot", "--identity", "admin", "--category", "human", "--issuer", "mallory") == 0
    capsys.readouterr()
    assert pki("show", realm, "--json") == 1
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["format"] == 1
    assert document["damaged"] == []
    assert document["realm"]["name"] == "shop"
    results = {entry["name"]: entry["verification"]["result"] for entry in document["credentials"]}
    assert results == {"web": "valid", "old": "CERTIFICATE_EXPIRED", "loot": "POLICY_DENIED"}
    [old] = [entry for entry in document["credentials"] if entry["name"] == "old"]
    assert old["handshake_certificate"]["not_before"] == 978307200
    assert old["master_certificate"]["not_after"] == 981173106
    assert pki("show", realm) == 1
    assert "CERTIFICATE_EXPIRED" in capsys.readouterr().out
    assert pki("show", realm, "web") == 0


def test_show_of_a_damaged_credential_shows_the_others_and_is_exit_3(
    realm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pki("issue", realm, "db", "--identity", "shop/db", "--category", "workload") == 0
    (realm / "credentials/db/master.key").unlink()
    capsys.readouterr()
    assert pki("show", realm) == 3
    shown = capsys.readouterr()
    assert "credential web" in shown.out
    assert "master.key: is missing" in shown.err
    assert pki("show", realm, "--json") == 3
    assert len(json.loads(capsys.readouterr().out)["damaged"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["init", "{realm}"], 3, "exists already"),
        (["init", "/proc/none"], 3, "/proc"),
        (["init", "{realm}/../other", "--name", "a/b"], 2, "name of the realm"),
        (["issue", "{realm}", "web", "--identity", "x", "--category", "human"], 3, "exists already"),
        (["issue", "{realm}", "new", "--identity", "x//y", "--category", "human"], 2, "not an identity"),
        (["issue", "{realm}", "new", "--identity", "x/*", "--category", "human"], 2, "no pattern is one"),
        (["issue", "{realm}", "new", "--identity", "x", "--category", "human", "--issuer", ""], 2, "issuer: ''"),
        (["issue", "{realm}", ".new", "--identity", "x", "--category", "human"], 2, "without a leading dot"),
        (["issue", "{realm}", "new", "--identity", "x", "--category", "human", "--not-after", "0"], 2, "72000 s"),
        (["issue", "{realm}", "new", "--identity", "x", "--category", "machine", "--not-after", "9"], 2, "before it"),
        (
            ["issue", "{realm}", "new", "--identity", "x", "--category", "machine", "--boundary", "a b"],
            2,
            "boundary: 'a b' is not 1 to 63 of A-Z",
        ),
        (["resumption-key", "{realm}", "x//y"], 2, "not an identity"),
        (["resumption-key", "{realm}", "x"], 3, "no credential is for"),
        (["verify", "{realm}", "{realm}/credentials/web/handshake.cert", "--target", "shop/*"], 2, "no pattern is one"),
        (["revoke", "{realm}", "ffffffffffffffff"], 2, "not a revocation ID: ffffffffffffffff"),
        (["revoke", "{realm}", "0300000000000002", "--master"], 2, "name of a credential"),
        (["revoke", "{realm}", "030000000000000A"], 2, "16 lower-case hexadecimal digits"),
        (["revoke", "{realm}", "0x12"], 2, "16 lower-case hexadecimal digits"),
        (["revoke", "{realm}", "db"], 2, "no credential of the realm"),
        (["show", "{realm}", ".x"], 2, "without a leading dot"),
        (["issue", "/dev/null", "new", "--identity", "x", "--category", "human"], 3, "not a directory"),
        (["show", "{realm}", "nobody"], 3, "no credential 'nobody'"),
        (["show", "/tmp"], 3, "alts pki show"),
        (["show"], 2, "DIR"),
        ([], 2, "COMMAND"),
        (["issue", "{realm}", "new", "--identity", "x"], 2, "--category"),
        (["issue", "{realm}", "new", "--identity", "x", "--category", "robot"], 2, "robot"),
        (["issue", "{realm}", "n", "--identity", "x", "--category", "human", "--not-after", "soon"], 2, "ISO 8601"),
    ],
)
def test_exit_codes(realm: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, text: str) -> None:
    assert pki(*(word.format(realm=realm) for word in words)) == code
    errors = capsys.readouterr().err
    assert text in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("folder", "name"), [("shop", "shop"), ("a b", "realm"), (".x", "realm")])
def test_the_realm_is_named_after_its_directory_where_that_can_be(tmp_path: Path, folder: str, name: str) -> None:
    assert pki("init", tmp_path / folder) == 0
    assert json.loads((tmp_path / folder / "realm.json").read_text()) == {"format": 1, "name": name}


@pytest.mark.parametrize("content", [b"", b"\x12\x02xy", b"\x0a\x02\x08\x01", b"\x0a\x00", b"no certificate", b"\0"])
def test_what_is_no_certificate_is_not_called_a_masters(
    realm: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    file = realm.parent / "file"
    file.write_bytes(content)
    assert pki("verify", realm, file) == 1
    told = capsys.readouterr().out
    assert told.startswith("refused: BAD_CERTIFICATE")
    assert "master certificate;" not in told
    file.write_bytes((realm / "credentials/web/master.cert").read_bytes())
    assert pki("verify", realm, file) == 1
    assert "this is a master certificate;" in capsys.readouterr().out


@pytest.mark.req("CRED-4", "REVOKE-1", "REVOKE-6", "TRUST-3")
def test_verify_and_revoke(realm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = realm / "credentials/web/handshake.cert"

    def verdict(*options: object) -> tuple[int, str]:
        code = pki("verify", realm, file, *options)
        return code, capsys.readouterr().out.split(" (")[0].strip()

    assert verdict() == (0, "valid: workload shop/web/prod, issuer cluster-master")
    assert verdict("--target", "shop/db", "--target", "shop/web/prod")[0] == 0
    assert verdict("--target", "shop/db") == (1, "refused: WRONG_IDENTITY")
    assert verdict("--at", "2001-01-01") == (1, "refused: CERTIFICATE_EXPIRED")
    assert pki("verify", realm, file, "--at", "2001-01-01") == 1
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line.split(" valid ")[0] for line in told] == [
        "handshake cert",
        "master cert",
        "judged at 2001-01-01T00:00:00Z",
    ]
    assert told[0].endswith("Z to no expiry")
    assert pki("verify", realm, file.with_name("master.cert")) == 1
    assert "this is a master certificate" in capsys.readouterr().out
    assert pki("revoke", realm, "web") == 0
    assert capsys.readouterr().out == "revoked 0300000000000002\n"
    assert verdict() == (1, "refused: CERTIFICATE_REVOKED")
    assert pki("revoke", realm, "web", "--master") == 0
    assert capsys.readouterr().out == "revoked 0300000000000002\nrevoked 0300000000000001\n"
    assert pki("revoke", realm, "0200000000000009") == pki("revoke", realm, "0300000000000001") == 0
    assert capsys.readouterr().out == (
        "revoked 0200000000000009: no credential here has this ID\nrevoked 0300000000000001: of web\n"
    )
    assert (pki("revoke", realm, "0900000000000009"), pki("revoke", realm, "nobody")) == (2, 3)
    assert pki("verify", realm, realm / "nothing") == pki("verify", realm, realm) == 3
    file.write_bytes(file.read_bytes()[:-1])
    capsys.readouterr()
    assert verdict() == (1, "refused: BAD_CERTIFICATE")
