"""`alts issuance publish-policy` and `found --policy`: no policy is in force that could never be replaced."""

from __future__ import annotations

import argparse
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from alts.services import Beliefs, default_policy
from alts.services.cli import issuance
from alts_schema.issuance_pb2 import POLICY

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'format = 1\ndeployment = "production"\ncertificate_authorities = ["realm/ca"]\n'


def rule(issuer: str, identity: str, category: str = "machine") -> str:
    return f'\n[[rule]]\nissuer = "{issuer}"\ncategory = "{category}"\nidentity = "{identity}"\n'


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    issuance.add_arguments(parser)
    return issuance.run(parser.parse_args([str(word) for word in words]))


class Operator:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.signer, self.state = root / "realm/policy-signer", root / "realm/crl"
        assert run("found", root / "realm", "--realm", "realm") == 0

    def publish(self, text: str, *, signer: Path | None = None, state: Path | None = None) -> int:
        path = self.root / "policy.toml"
        path.write_text(text)
        path.chmod(0o600)
        return run("publish-policy", signer or self.signer, state or self.state, path)

    @property
    def in_force(self) -> int:
        return Beliefs(self.state / "trust", time.time).sequence(POLICY)

    @property
    def signed(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.signer.iterdir() if path.name != ".lock"}


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


@pytest.mark.req("POLICY-1", "POLICY-2")
@pytest.mark.parametrize(
    "rules",
    [
        "",
        rule("realm/ca", "**"),  # it is `founding` that issued for the CRL service, and its certificate never expires
        rule("realm/founding", "realm/signing") + rule("realm/founding", "realm/ca"),
        rule("realm/founding", "realm/crl", "workload"),
    ],
    ids=["no rule", "by the CA only", "the others only", "as a workload"],
)
def test_a_policy_under_which_no_other_could_be_fetched_is_not_published(
    operator: Operator, rules: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = operator.signed
    assert operator.publish(HEAD + rules) == 1
    said = capsys.readouterr().err
    assert "can never fetch another policy" in said
    assert ("empty-policy" in said) is not bool(rules)
    assert (operator.in_force, operator.signed) == (1, before), "no number is used up, nothing is replaced"
    assert operator.publish(default_policy("realm", "production")) == 0
    assert operator.in_force == 2


@pytest.mark.req("POLICY-1")
def test_what_is_odd_or_ends_with_the_next_renewal_is_said_and_published(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    text = default_policy("realm", "production")
    assert operator.publish(text + rule("**", "corp/*", "human")) == 0
    said = capsys.readouterr()
    assert "policy 2 is handed out" in said.out
    assert "any-issuer" in said.err
    assert operator.publish(HEAD + rule("realm/founding", "realm/crl")) == 0
    assert "as it is when renewed" in capsys.readouterr().err
    assert operator.publish(text) == 0
    assert (operator.in_force, capsys.readouterr().err) == (4, "")


@pytest.mark.req("POLICY-2")
def test_what_cannot_be_handed_out_is_not_signed(
    operator: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = default_policy("realm", "production")
    before = operator.signed
    assert run("found", tmp_path / "other", "--realm", "realm") == 0
    for text, options, says in (
        (default_policy("realm", "test"), {}, "is for test"),
        (right, {"state": tmp_path / "realm/ca"}, "is not the state directory of the CRL service"),
        (right, {"state": tmp_path / "realm/trust"}, "is no state directory"),
        (right, {"state": tmp_path / "nowhere"}, "is no state directory"),
        (right, {"state": tmp_path / "other/crl"}, "is not the policy signer of the realm"),
        (right, {"signer": tmp_path / "other/policy-signer"}, "is not the policy signer of the realm"),
        (right, {"signer": tmp_path / "realm/trust"}, "policy.key"),
        ("format = 9", {}, "format"),
    ):
        assert operator.publish(text, **options) == 3
        assert says in capsys.readouterr().err
    assert (operator.in_force, operator.signed) == (1, before)
    assert sorted(os.listdir(tmp_path / "realm/ca")) == ["agent.sqlite", "trust"]


@pytest.mark.req("POLICY-2")
def test_a_signer_from_a_backup_replaces_no_newer_policy(
    operator: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(operator.signer, tmp_path / "backup")
    right = default_policy("realm", "production")
    assert operator.publish(right) == operator.publish(right) == 0
    before = (tmp_path / "backup/policy").read_bytes()
    assert operator.publish(right, signer=tmp_path / "backup") == 3
    assert "restored from a backup?" in capsys.readouterr().err
    assert ((tmp_path / "backup/policy").read_bytes(), operator.in_force) == (before, 3)


@pytest.mark.req("POLICY-1")
def test_no_realm_is_founded_on_a_policy_that_could_never_be_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.toml"
    for text, code in ((HEAD, 1), (HEAD + rule("realm/founding", "realm/crl"), 0)):
        path.write_text(text)
        path.chmod(0o600)
        assert run("found", tmp_path / "new", "--realm", "realm", "--policy", path) == code
        assert (tmp_path / "new").exists() is (code == 0)
    assert "can never fetch another policy" in capsys.readouterr().err


def test_a_token_is_put_over_nothing_but_a_token(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    ca, key = operator.root / "realm/ca", operator.signer / "policy.key"
    before = key.read_bytes()
    assert run("token", ca, "machines/a", key) == 3
    assert "is not JSON" in capsys.readouterr().err
    assert key.read_bytes() == before
    out = operator.root / "token"
    assert run("token", ca, "machines/a", out) == 0
    first = out.read_bytes()
    assert run("token", ca, "machines/a", out) == 0
    assert out.read_bytes() != first
