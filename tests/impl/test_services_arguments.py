"""What people and files give the services' commands and is no text, or no token: one line and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alts import ConfigurationError
from alts.services import Token
from alts.services.cli import load_token, save_token
from tests.impl.test_services_processes import ENVIRONMENT, printed

TOKEN = Token(bytes(range(16)), bytes(range(32)), "machines/desk")
AT = "--machine", "realm/ca", "--book", "book"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("arguments")
    printed("issuance", "found", made / "realm", "--realm", "realm")
    return made


def command(folder: Path, *words: str | bytes, given: bytes = b"", **environment: str) -> tuple[int, str]:
    arguments = [sys.executable, "-m", "alts.services", "issuance", *words]
    done = subprocess.run(
        arguments,
        input=given,
        capture_output=True,
        env={**ENVIRONMENT, **environment},
        cwd=folder,
        timeout=60,
        check=False,
    )
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert "internal error" not in said
    return done.returncode, said


@pytest.mark.req("ISSUE-5")
@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
@pytest.mark.parametrize(
    "words", [("add-user", "realm/ca", "olga", "corp/olga"), ("login", *AT, "olga", "corp/o", "o")]
)
def test_a_password_that_is_no_text_is_refused_and_not_shown(folder: Path, words: tuple[str, ...], locale: str) -> None:
    secret = b"correct horse battery staple"
    code, said = command(folder, *words, "--password-stdin", given=secret + b"\xff\n123456\n", LC_ALL=locale)
    assert (code, "not UTF-8 text" in said) == (3, True), said
    assert secret.decode() not in said


@pytest.mark.parametrize("words", [("stop", b"w\xff"), ("revoke", "0200000000000001", "--reason", b"\xff")])
def test_an_argument_that_is_no_text_is_wrong_usage(folder: Path, words: tuple[str | bytes, ...]) -> None:
    code, said = command(folder, words[0], *AT, "--credential", "c", *words[1:])
    assert (code, "is not UTF-8 text" in said) == (2, True), said


def test_a_realm_is_founded_below_a_path_that_is_no_text(tmp_path: Path) -> None:
    assert command(tmp_path, "found", b"r\xff", "--realm", "realm", LC_ALL="C.UTF-8", PYTHONUTF8="0") == (0, "")
    assert command(tmp_path, "found", b"\xff", "--realm", "realm", PYTHONIOENCODING="utf-8:strict") == (0, "")
    assert len(list(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"\xff"))).iterdir())) == 5


@pytest.mark.req("ISSUE-6")
def test_a_token_file_holds_a_token_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    save_token(path, TOKEN)
    assert load_token(path) == TOKEN
    right = json.loads(path.read_text())
    wrong: list[dict[str, Any]] = [
        {"identity": "machines/\ud800"},
        {"identity": "machines//desk"},
        {"identity": ""},
        {"identity": 7},
        {"token_id": "00" * 15},
        {"token_id": "00" * 17},
        {"token_id": "\ud800"},
        {"token_id": None},
        {"token": "00" * 31},
        {"token": "00" * 33},
        {"token": "zz" * 32},
        {"token": ""},
    ]
    for change in wrong:
        path.write_text(json.dumps({**right, **change}))
        with pytest.raises(ConfigurationError, match="is not an enrolment token") as caught:
            load_token(path)
        assert TOKEN.token.hex() not in str(caught.value)
    save_token(path, TOKEN)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="too open"):
        load_token(path)


@pytest.mark.parametrize("words", [("issuance", "found", "new", "--realm", "realm"), ("--help",), ("ca", "--help")])
def test_output_that_cannot_be_written_is_no_finding(tmp_path: Path, words: tuple[str, ...]) -> None:
    arguments = [sys.executable, "-m", "alts.services", *words]
    buffered = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONUNBUFFERED"}
    options: dict[str, Any] = {"cwd": tmp_path, "env": buffered, "stderr": subprocess.PIPE, "text": True}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(arguments, stdout=full, check=False, **options)
    assert (done.returncode, done.stderr) == (3, "alts.services: No space left on device\n")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ("ValueError('of\\ntwo lines')", 3, "internal error: ValueError: of two lines (OPENALTS_DEBUG=1"),
        ("KeyboardInterrupt", 130, "interrupted"),
        ("BrokenPipeError", 3, ""),
    ],
)
def test_a_mistake_of_ours_is_no_finding(error: str, code: int, says: str) -> None:
    script = f"""
import runpy, sys
from alts.services.cli import issuance
def run(args):
    raise {error}
issuance.run = run
sys.argv = ["alts.services", "issuance", "install", "a", "b"]
runpy.run_module("alts.services", run_name="__main__")
"""
    environment = {**ENVIRONMENT, "OPENALTS_DEBUG": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    said = done.stderr
    assert (done.returncode, said.startswith(f"alts.services: {says}" if says else "")) == (code, True), said
    assert said.count("\n") == (1 if says else 0)
