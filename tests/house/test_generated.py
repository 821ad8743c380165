"""The committed protobuf modules are what the `.proto` files give."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from tools.gen_schema import SCHEMA_ROOT, differences, generate, generated_modules

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def _compiler() -> None:
    """Only the pinned compiler can be compared with: another version may write the same meaning in other bytes."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    pinned = next(line.partition("==")[2] for line in extras["dev"] if line.startswith("grpcio-tools=="))
    try:
        installed = importlib.metadata.version("grpcio-tools")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("grpcio-tools is not installed")
    if installed != pinned:
        pytest.skip(f"grpcio-tools {installed} is installed; the modules were made with {pinned}")


@pytest.mark.usefixtures("_compiler")
@pytest.mark.req("TRUST-8", "HS-2")
def test_the_committed_modules_are_up_to_date(tmp_path: Path) -> None:
    committed = generated_modules(SCHEMA_ROOT)
    assert committed
    assert differences(committed, generate(SCHEMA_ROOT, tmp_path)) == []


@pytest.mark.usefixtures("_compiler")
def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "schema" / "planted" / "planted.proto"
    source.parent.mkdir(parents=True)
    text = 'syntax = "proto3";\npackage openalts.planted;\nmessage Planted { uint32 first = 1; }\n'
    source.write_text(text, encoding="utf-8")
    out = [tmp_path / name for name in ("a", "b", "c", "d")]
    for folder in out:
        folder.mkdir()
    before = generate(tmp_path / "schema", out[0])
    assert sorted(before) == ["planted/planted_pb2.py", "planted/planted_pb2.pyi"]
    assert differences(before, generate(tmp_path / "schema", out[1])) == []
    source.write_text(text.replace("first = 1", "first = 2"), encoding="utf-8")
    changed = differences(before, generate(tmp_path / "schema", out[2]))
    assert [line.partition(":")[0] for line in changed] == ["planted/planted_pb2.py", "planted/planted_pb2.pyi"] or [
        line.partition(":")[0] for line in changed
    ] == ["planted/planted_pb2.py"]
    source.write_text(text + "service S { rpc Do(Planted) returns (Planted); }\n", encoding="utf-8")
    assert "planted/planted_pb2_grpc.py" in generate(tmp_path / "schema", out[3])


def test_differences_names_missing_and_orphaned_modules() -> None:
    lines = differences({"a_pb2.py": b"1", "b_pb2.py": b"1"}, {"b_pb2.py": b"1", "c_pb2.py": b"1"})
    assert [line.partition(":")[0] for line in lines] == ["c_pb2.py", "a_pb2.py"]
