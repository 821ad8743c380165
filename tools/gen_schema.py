"""Generates the protobuf modules from `schema/alts_schema/**/*.proto`.

`python -m tools.gen_schema` writes them beside their sources; `--check` writes nothing and exits 1 if a committed
module differs from what its source gives. For each file: `X_pb2.py`, `X_pb2.pyi`, and, if it has a service,
`X_pb2_grpc.py`.
"""

from __future__ import annotations

import argparse
import importlib.resources
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMA_ROOT = ROOT / "schema"
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def sources(schema_root: Path) -> list[Path]:
    """The `.proto` files under `schema_root`, relative to it, sorted."""
    return sorted(path.relative_to(schema_root) for path in schema_root.rglob("*.proto"))


def generated_modules(folder: Path) -> dict[str, bytes]:
    """The generated files under `folder`: path relative to it -> content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name.endswith(GENERATED)
    }


def generate(schema_root: Path, out: Path) -> dict[str, bytes]:
    """Compiles every source under `schema_root` into `out` and returns what was made: relative path -> content.

    Raises:
        ModuleNotFoundError: grpcio-tools is not installed.
        RuntimeError: the compiler refused a source (its own message is on stderr), or there is no source.
    """
    from grpc_tools import protoc

    names = sources(schema_root)
    if not names:
        raise RuntimeError(f"no .proto file under {schema_root}")
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    for name in names:
        arguments = ["protoc", f"-I{schema_root}", f"-I{well_known}", f"--python_out={out}", f"--pyi_out={out}"]
        if re.search(r"(?m)^\s*service\s+\w+", (schema_root / name).read_text(encoding="utf-8")):
            arguments.append(f"--grpc_python_out={out}")
        if protoc.main([*arguments, name.as_posix()]) != 0:
            raise RuntimeError(f"protoc refused {name}")
    return generated_modules(out)


def differences(committed: dict[str, bytes], fresh: dict[str, bytes]) -> list[str]:
    """One line for each module that is missing, differs, or has no source any more. Empty: all is well."""
    lines = [f"{name}: missing, run `make schema`" for name in sorted(fresh.keys() - committed.keys())]
    lines += [f"{name}: no .proto file gives it" for name in sorted(committed.keys() - fresh.keys())]
    lines += [
        f"{name}: not what its .proto file gives, run `make schema`"
        for name in sorted(fresh.keys() & committed.keys())
        if fresh[name] != committed[name]
    ]
    return lines


def main(argv: list[str] | None = None) -> int:
    """Entry point. Exit codes: 0 all well, 1 a difference was found by --check, 3 the compiler failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.gen_schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a committed module differs")
    check = parser.parse_args(argv).check
    with tempfile.TemporaryDirectory() as scratch:
        try:
            fresh = generate(SCHEMA_ROOT, Path(scratch))
        except (RuntimeError, ModuleNotFoundError) as error:
            print(f"gen_schema: {error}", file=sys.stderr)
            return 3
    lines = differences(generated_modules(SCHEMA_ROOT), fresh)
    if check:
        print("\n".join(lines) if lines else f"gen_schema: {len(fresh)} modules are what their sources give")
        return 1 if lines else 0
    for name, content in fresh.items():
        target = SCHEMA_ROOT / name
        if not target.exists() or target.read_bytes() != content:
            target.write_bytes(content)
            print(f"wrote schema/{name}")
    for line in (line for line in lines if line.endswith("gives it")):
        print(f"schema/{line}: remove it", file=sys.stderr)
    print(f"gen_schema: {len(fresh)} modules are up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
