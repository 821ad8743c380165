"""The import rule: which package may import which. Checked on syntax trees; nothing is imported for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Source root -> the import package in it.
PACKAGES = {
    "schema": "alts_schema",
    "impl": "alts",
    "model": "alts_model",
    "proverif": "alts_proofs",
    "vectors": "alts_vectors",
    "conformance": "alts_conformance",
    "bench": "alts_bench",
}
_ALL = frozenset(PACKAGES.values())


@dataclass(frozen=True, slots=True)
class Rule:
    """What a package may import of ours (`ours`, itself excepted) and must not import of others (`banned`)."""

    ours: frozenset[str]
    banned: frozenset[str] = frozenset()
    dynamic: bool = False


# `dynamic`: an import whose name is computed is allowed; elsewhere it would escape this check.
RULES: Mapping[str, Rule] = {
    "alts_schema": Rule(frozenset()),
    "alts": Rule(frozenset({"alts_schema"}), frozenset({"tlslite"})),
    "alts_model": Rule(frozenset({"alts_schema"}), frozenset({"cryptography"})),
    "alts_proofs": Rule(frozenset()),
    "alts_vectors": Rule(frozenset({"alts_model"})),
    "alts_conformance": Rule(_ALL, dynamic=True),
    "alts_bench": Rule(_ALL, dynamic=True),
}
# Nothing that is installed may need what is not.
_NOT_SHIPPED = frozenset({"tests", "tools"})

# Ways to get at a module that no syntax tree shows; `importlib.resources` and `importlib.metadata` are harmless.
_LOADERS = frozenset({"importlib", "pkgutil", "runpy", "imp", "zipimport"})
_HARMLESS = ("importlib.resources", "importlib.metadata")
_RUNNERS = frozenset({"exec", "eval", "__import__"})
_IMPORTERS = frozenset({"import_module", "__import__", "run_module", "find_spec", "resolve_name", "importorskip"})


@dataclass(frozen=True, slots=True)
class Violation:
    """One forbidden import: file, line and the reason in words."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class _Found:
    line: int
    name: str | None  # the absolute dotted name; None: computed at run time
    escapes: bool = False  # a relative import that leaves the top-level package


def _imports(tree: ast.AST, package_parts: tuple[str, ...]) -> Iterator[_Found]:
    """Every import in `tree`, wherever it stands. `package_parts`: the package that holds the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Found(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            yield from _from_import(node, package_parts)
        elif isinstance(node, ast.Call):
            found = _call(node, package_parts)
            if found is not None:
                yield found
        elif (isinstance(node, ast.Name) and node.id in _RUNNERS) or (
            isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.modules"
        ):
            yield _Found(node.lineno, None)


def _from_import(node: ast.ImportFrom, package_parts: tuple[str, ...]) -> Iterator[_Found]:
    if node.level == 0:
        if node.module == "importlib":
            yield from (_Found(node.lineno, f"importlib.{alias.name}") for alias in node.names)
        elif node.module == "sys" and any(alias.name == "modules" for alias in node.names):
            yield _Found(node.lineno, None)
        else:
            yield _Found(node.lineno, node.module or "")
        return
    kept = len(package_parts) - (node.level - 1)
    if kept < 1:
        yield _Found(node.lineno, None, escapes=True)
    else:
        yield _Found(node.lineno, ".".join([*package_parts[:kept], *filter(None, [node.module])]))


def _call(node: ast.Call, package_parts: tuple[str, ...]) -> _Found | None:
    function = node.func
    name = ast.unparse(function).rpartition(".")[2] if isinstance(function, ast.Attribute | ast.Name) else ""
    if name not in _IMPORTERS:
        return None
    named = [keyword.value for keyword in node.keywords if keyword.arg in ("name", "mod_name")]
    argument = next(iter([*node.args, *named]), None)
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        return _Found(node.lineno, None)
    literal = argument.value.partition(":")[0]
    level = len(literal) - len(literal.lstrip("."))
    if level == 0:
        return _Found(node.lineno, literal)
    kept = len(package_parts) - (level - 1)
    if kept < 1:
        return _Found(node.lineno, None, escapes=True)
    return _Found(node.lineno, ".".join([*package_parts[:kept], *filter(None, [literal[level:]])]))


def check_package(root: Path, package: str, rule: Rule) -> list[Violation]:
    """The violations of `rule` in every module of `root/package`.

    Raises:
        SyntaxError: a module does not parse.
    """
    violations = []
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).parts[:-1]
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for found in _imports(tree, parts):
            reason = _judge(found, package, rule)
            if reason is not None:
                violations.append(Violation(path, found.line, reason))
    return violations


def _judge(found: _Found, package: str, rule: Rule) -> str | None:
    if found.escapes:
        return f"a relative import leaves {package}"
    if found.name is None:
        return None if rule.dynamic else f"{package} imports a module whose name is computed: this cannot be checked"
    top = found.name.partition(".")[0]
    if top in _LOADERS and not rule.dynamic and not found.name.startswith(_HARMLESS):
        return f"{package} must not import {found.name}: what it loads cannot be checked"
    if top in rule.banned:
        return f"{package} must not import {top}"
    if top in _NOT_SHIPPED:
        return f"{package} must not import {top}, which is not installed with it"
    if top in _ALL and top != package and top not in rule.ours:
        return f"{package} must not import {top}"
    return None


def modules(root: Path, package: str) -> list[Path]:
    """The modules of a package that people wrote: all but the generated ones."""
    return [path for path in sorted((root / package).rglob("*.py")) if not path.stem.endswith(("_pb2", "_pb2_grpc"))]
