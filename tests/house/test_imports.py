"""The import rule holds, and the check of it is seen to fail on planted imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.imports import PACKAGES, RULES, check_package

ROOT = Path(__file__).resolve().parents[2]


def plant(tmp_path: Path, package: str, source: str, module: str = "inner/_planted.py") -> Path:
    path = tmp_path / package / module
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    return path


@pytest.mark.parametrize("folder", PACKAGES)
def test_no_package_imports_what_the_design_forbids(folder: str) -> None:
    package = PACKAGES[folder]
    assert list((ROOT / folder / package).rglob("*.py")), "an empty package would pass for no reason"
    violations = check_package(ROOT / folder, package, RULES[package])
    assert not violations, "\n".join(map(str, violations))


BAD = {
    "plain": ("alts", "import alts_model"),
    "submodule": ("alts", "import alts_model.terms as terms"),
    "second of several": ("alts", "import os, alts_model"),
    "from": ("alts_model", "from alts._key_schedule import derive"),
    "in a function": ("alts_model", "def f() -> None:\n    if True:\n        from alts import Connection\n"),
    "for type checkers only": ("alts_model", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import alts\n"),
    "import_module": ("alts", "import importlib\nimportlib.import_module('alts_model')"),
    "import_module by its name": ("alts", "from importlib import import_module\nimport_module('alts_model.x')"),
    "import_module by keyword": ("alts", "import importlib\nimportlib.import_module(name='alts_model')"),
    "__import__": ("alts", "__import__('alts_vectors')"),
    "run_module": ("alts_proofs", "import runpy\nrunpy.run_module('alts')"),
    "computed name": ("alts", "import importlib\nimportlib.import_module('alts_' + 'model')"),
    "import_module by another name": ("alts", "from importlib import import_module as load\nload('alts_model')"),
    "import_module in a variable": ("alts", "import importlib\nf = importlib.import_module\nf('alts_model')"),
    "a loader": ("alts", "import importlib.util as u\nu.spec_from_file_location('alts_model', '/x')"),
    "pkgutil": ("alts", "import pkgutil\npkgutil.get_loader('alts_model')"),
    "exec": ("alts", "exec('import alts_model')"),
    "eval in a variable": ("alts", "run = eval\nrun('__impo' + 'rt__(\"alts_model\")')"),
    "sys.modules": ("alts", "import sys\nsys.modules['alts_model']"),
    "sys.modules by its name": ("alts", "from sys import modules\nmodules['alts_model']"),
    "getattr of __import__": ("alts", "getattr(__import__('importlib'), 'import_module')('alts_model')"),
    "out of the package": ("alts", "from ...model import alts_model"),
    "out of the package by string": ("alts", "import importlib\nimportlib.import_module('...alts_model', __package__)"),
    "model with cryptography": ("alts_model", "from cryptography.hazmat.primitives import hashes"),
    "implementation with tlslite": ("alts", "import tlslite.utils.x25519"),
    "schema with ours": ("alts_schema", "import alts"),
    "proofs with the schema": ("alts_proofs", "import alts_schema"),
    "vectors with the implementation": ("alts_vectors", "import alts"),
    "vectors with the conformance suite": ("alts_vectors", "from alts_conformance import cli"),
    "shipped code with the tests": ("alts_conformance", "from tests.house import imports"),
    "shipped code with the tools": ("alts_bench", "import tools.gen_schema"),
}


@pytest.mark.parametrize(("package", "source"), BAD.values(), ids=BAD.keys())
def test_a_planted_import_is_found(tmp_path: Path, package: str, source: str) -> None:
    path = plant(tmp_path, package, source)
    violations = check_package(tmp_path, package, RULES[package])
    assert {violation.path for violation in violations} == {path}
    assert all(1 <= violation.line <= source.count("\n") + 1 for violation in violations)


GOOD = {
    "the schema": ("alts", "from alts_schema import handshake_pb2"),
    "itself": ("alts", "import alts\nfrom alts._record import open_frames"),
    "relative": ("alts", "from . import _codec\nfrom .._record import open_frames\nfrom ..inner import x"),
    "others' packages": ("alts", "import cryptography, grpclib, os.path"),
    "a name that only begins like ours": ("alts", "import alts_modelling"),
    "model with tlslite": ("alts_model", "import tlslite, hashlib"),
    "vectors with the model": ("alts_vectors", "import alts_model"),
    "conformance with all": ("alts_conformance", "import alts, alts_model, alts_proofs, alts_vectors, alts_schema"),
    "discovery of cases": ("alts_conformance", "import importlib\nimportlib.import_module(f'cases.{__name__}')"),
    "resources of a package": ("alts_proofs", "from importlib import resources, metadata\nimport importlib.resources"),
    "a word in a string": ("alts", "'''import alts_model'''"),
}


@pytest.mark.parametrize(("package", "source"), GOOD.values(), ids=GOOD.keys())
def test_an_allowed_import_is_left_alone(tmp_path: Path, package: str, source: str) -> None:
    plant(tmp_path, package, source)
    assert check_package(tmp_path, package, RULES[package]) == []


def test_a_relative_import_in_the_top_module_may_not_leave_it(tmp_path: Path) -> None:
    plant(tmp_path, "alts", "from .. import alts_model", module="__init__.py")
    assert len(check_package(tmp_path, "alts", RULES["alts"])) == 1
