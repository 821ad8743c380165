"""The house as design and packaging see it: the same roots everywhere, each with its shell, no module too long."""

from __future__ import annotations

import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.imports import PACKAGES, RULES, modules

ROOT = Path(__file__).resolve().parents[2]
LINE_LIMIT = 450


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages_on_disk(root: Path) -> dict[str, str]:
    """Top-level folder -> the one import package in it."""
    found = [init.parent for init in sorted(root.glob("[!.]*/*/__init__.py"))]
    return {package.parent.name: package.name for package in found if package.parent.name not in ("tests", "build")}


def test_the_roots_are_the_same_everywhere(pyproject: dict[str, Any]) -> None:
    roots = set(PACKAGES)
    assert packages_on_disk(ROOT) == PACKAGES
    assert set(RULES) == set(PACKAGES.values())
    assert set(pyproject["tool"]["setuptools"]["packages"]["find"]["where"]) == roots
    assert set(pyproject["tool"]["mypy"]["mypy_path"].split(":")) == roots
    assert set(pyproject["tool"]["mypy"]["files"]) == roots | {"tests", "tools"}
    assert set(pyproject["tool"]["ruff"]["src"]) == roots | {"."}
    assert set(PACKAGES.values()) <= set(pyproject["tool"]["ruff"]["lint"]["isort"]["known-first-party"])


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_package_has_its_shell(folder: str) -> None:
    package = ROOT / folder / PACKAGES[folder]
    assert (package / "py.typed").is_file()
    assert (package / "__init__.py").read_text(encoding="utf-8").lstrip().startswith('"""')
    assert (ROOT / folder / "README.md").read_text(encoding="utf-8").startswith("# ")
    assert [path.name for path in (ROOT / folder).glob("*/__init__.py")] == ["__init__.py"], "one import package a root"


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "tools"])
def test_no_module_is_too_long(folder: str) -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules(ROOT / folder, PACKAGES.get(folder, "."))
    }
    assert lengths
    too_long = {path: lines for path, lines in lengths.items() if lines > LINE_LIMIT}
    assert not too_long, f"over {LINE_LIMIT} lines, one idea each: {too_long}"


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for folder, package in {**PACKAGES, "tools": "."}.items():
        for path in modules(ROOT / folder, package):
            source = path.read_text(encoding="utf-8").lstrip()
            if not source.startswith(('"""', 'r"""', "#!")):
                silent.append(path.relative_to(ROOT).as_posix())
    assert not silent, f"no docstring: {silent}"


@pytest.mark.parametrize("path", [".ci/run", "tools/bootstrap.sh"])
def test_scripts_are_executable_and_parse(path: str) -> None:
    script = ROOT / path
    assert script.stat().st_mode & stat.S_IXUSR
    shell = script.read_text(encoding="utf-8").splitlines()[0].removeprefix("#!").strip().split()
    done = subprocess.run([*shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_makefile_has_the_promised_targets() -> None:
    for target in ("conform", "test", "lint", "prove", "vectors", "schema", "clean", "help"):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_console_script_is_declared(pyproject: dict[str, Any]) -> None:
    assert pyproject["project"]["scripts"] == {"alts": "alts_conformance.cli:main"}
    assert pyproject["project"]["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)
