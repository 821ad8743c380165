"""`alts vectors`: exit codes, findings in words, JSON."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import alts_vectors
from alts_conformance import _vectors as cli


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(arguments))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(alts_vectors.DATA, tmp_path / "data")
    return tmp_path / "data"


def spoil(directory: Path, kind: str, change: Any) -> None:
    path = directory / f"{kind}.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_all_three_actions_are_well_on_the_committed_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "--check") == 0
    assert run("lint") == 0
    assert run("verify") == 0
    out = capsys.readouterr().out
    assert f"{len(alts_vectors.KINDS)} as generated" in out
    assert "0 findings" in out


def test_generate_writes_the_committed_bytes_and_says_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", "--directory", str(tmp_path), "--check") == 1
    assert run("generate", "--directory", str(tmp_path)) == 0
    assert f"{len(alts_vectors.KINDS)} files; 0 unchanged" in capsys.readouterr().out
    for kind in alts_vectors.KINDS:
        assert (tmp_path / f"{kind}.json").read_bytes() == (alts_vectors.DATA / f"{kind}.json").read_bytes()
    (tmp_path / "record.json").write_text("{}")
    assert run("generate", "--directory", str(tmp_path), "--check") == 1
    assert "record.json: differs" in capsys.readouterr().out


def test_verify_names_the_case_and_the_difference(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(document: Any) -> None:
        document["testGroups"][0]["tests"][0]["result"]["R"] = "00" * 32

    spoil(copied, "key_schedule", change)
    assert run("verify", "--directory", str(copied)) == 1
    out = capsys.readouterr().out
    assert "FAIL key_schedule/honest: R: expected 0000" in out
    assert run("verify", "--directory", str(copied), "--kind", "record") == 0
    assert run("verify", "--directory", str(copied), "--json") == 1
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [case["id"] for case in document["cases"] if not case["passed"]] == ["key_schedule/honest"]


@pytest.mark.parametrize("target", ["nonsense", "no.such.module:TARGET", "alts_conformance.vector_target:NOTHING"])
def test_an_unknown_target_is_a_usage_error(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--target", target) == 2
    assert "--target" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["lint", "verify"])
def test_files_that_cannot_be_read_are_no_success(action: str, tmp_path: Path, copied: Path) -> None:
    assert run(action, "--directory", str(tmp_path / "nothing")) == 3
    (copied / "x25519.json").write_text("[")
    assert run(action, "--directory", str(copied)) == 3


CHANGES: dict[str, tuple[Any, str]] = {
    "extra property": (lambda d: d["testGroups"][0]["tests"][0].update(more=1), "Additional properties"),
    "no reason": (lambda d: d["testGroups"][0]["tests"][0].pop("reason"), "'reason' is a required"),
    "empty reason": (lambda d: d["testGroups"][0]["tests"][0].update(reason="Important."), "the reason says nothing"),
    "placeholder": (lambda d: d["testGroups"][0]["tests"][0].update(reason="To do: TODO later"), "placeholder"),
    "requirement": (lambda d: d["testGroups"][0]["tests"][0].update(requirements=["HS-99"]), "HS-99"),
    "no requirement": (lambda d: d["testGroups"][0]["tests"][0].update(requirements=[]), "[]"),
    "flag without note": (lambda d: d["testGroups"][0]["tests"][0].update(flags=["Nonsense"]), "has no note"),
    "note without flag": (
        lambda d: d["notes"].update(Spare={"bugType": "BASIC", "description": "spare", "effect": "spare"}),
        "no case has the flag Spare",
    ),
    "bug type": (lambda d: d["notes"]["LowOrderPoint"].update(bugType="BAD"), "'BAD'"),
    "id twice": (lambda d: d["testGroups"][0]["tests"][1].update(id=d["testGroups"][0]["tests"][0]["id"]), "2 times"),
    "id of another group": (lambda d: d["testGroups"][0]["tests"][1].update(id="other/x"), "not of its group"),
    "input twice": (
        lambda d: d["testGroups"][0]["tests"][1].update(input=d["testGroups"][0]["tests"][0]["input"]),
        "the same input",
    ),
    "number": (lambda d: d.update(numberOfTests=1), "numberOfTests"),
    "version": (lambda d: d.update(vectorsVersion="0.0.1"), "versions"),
    "upper case": (lambda d: d["testGroups"][0]["tests"][0]["input"].update(privateKey="A" * 64), "does not match"),
    "third verdict": (
        lambda d: d["testGroups"][0]["tests"][0]["result"].update(verdict="acceptable"),
        "'valid' was expected",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_linter_notices(name: str) -> None:
    change, words = CHANGES[name]
    document = json.loads((alts_vectors.DATA / "x25519.json").read_text())
    assert findings(document) == []
    change(document)
    assert any(words in finding for finding in findings(document)), findings(document)


def findings(document: Any) -> list[str]:
    """Those of one file."""
    return [line for line in alts_vectors.lint({"x25519": document}) if "no such file" not in line]


def test_findings_give_exit_code_1(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(copied, "x25519", CHANGES["number"][0])
    assert run("lint", "--directory", str(copied)) == 1
    assert "x25519: numberOfTests is 1" in capsys.readouterr().out


def test_the_linter_counts_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lint", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["findings"] == []
    assert document["cases"] > 500
