"""Cases: decorated coroutine functions, linted when they are registered, expanded into instances.

A case's ID is ``<module>::<function>``; an instance adds ``/name=value,...``. IDs are stable and never reused:
reports of two runs are compared by them. The docstring is the published text of the case.
"""

from __future__ import annotations

import enum
import fnmatch
import importlib
import inspect
import itertools
import json
import pkgutil
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from ._verdict import HarnessError

CaseFunction = Callable[..., Awaitable[None]]
Value = str | int | bool

#: Roles of a link; a case is judged for the peers that hold its ``subjects``.
ROLES = ("client", "server", "handshaker", "record")


class Severity(enum.StrEnum):
    """What is lost when the case fails."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Case:
    """One registered case."""

    id: str
    function: CaseFunction
    text: str
    requirements: tuple[str, ...]
    severity: Severity
    why: str
    subjects: tuple[str, ...]
    helpers: Mapping[str, str]
    needs: Mapping[str, frozenset[str]]
    parameters: Mapping[str, Sequence[Value]]
    profiles: frozenset[str]
    limit: float
    exclusive: bool

    @property
    def module(self) -> str:
        """The part of the ID before ``::``."""
        return self.id.partition("::")[0]


@dataclass(frozen=True, slots=True)
class Instance:
    """A case with every parameter and role filled in."""

    case: Case
    assignment: Mapping[str, str]
    values: Mapping[str, Value]

    @property
    def id(self) -> str:
        """Stable and free of shell and glob characters."""
        parts = [f"{role}={peer}" for role, peer in self.assignment.items() if role in self.case.subjects]
        parts += [f"{name}={value}" for name, value in self.values.items()]
        return self.case.id + ("/" + ",".join(parts) if parts else "")

    @property
    def subjects(self) -> tuple[str, ...]:
        """The peers that this instance judges, each once."""
        return tuple(dict.fromkeys(self.assignment[role] for role in self.case.subjects))

    @property
    def peers(self) -> frozenset[str]:
        """Every peer that takes part."""
        return frozenset(self.assignment.values())

    def rng(self, seed: int) -> random.Random:
        """The random choices of this instance: a function of the run's seed and the ID, of nothing else."""
        return random.Random(int.from_bytes(sha256(f"{seed}\0{self.id}".encode()).digest()[:8], "big"))


@dataclass(slots=True)
class Registry:
    """All cases by ID."""

    cases: dict[str, Case] = field(default_factory=dict)

    def add(self, case: Case) -> None:
        """Register a case.

        Raises:
            HarnessError: the ID is taken.
        """
        if case.id in self.cases:
            raise HarnessError(f"two cases have the ID {case.id}")
        self.cases[case.id] = case

    def instances(self, peers: Mapping[str, frozenset[str]]) -> list[Instance]:
        """Every instance for peers given with their capabilities, in a fixed order."""
        return [instance for case in self.cases.values() for instance in expand(case, peers)]


REGISTRY = Registry()


def case(
    *,
    requirements: Sequence[str],
    severity: Severity,
    why: str,
    subjects: Sequence[str],
    helpers: Mapping[str, str] | None = None,
    needs: Mapping[str, Iterable[str]] | None = None,
    parameters: Mapping[str, Sequence[Value]] | None = None,
    profiles: Iterable[str] = (),
    limit: float = 30.0,
    exclusive: bool = False,
    registry: Registry | None = None,
) -> Callable[[CaseFunction], CaseFunction]:
    """Register a case.

    Args:
        requirements: IDs of docs/requirements.json that the case is evidence for.
        severity: what is lost when it fails.
        why: one sentence, for somebody whose peer failed.
        subjects: roles whose peers are judged; two subjects make an instance for every pair of peers.
        helpers: roles that are filled by a given peer and not judged.
        needs: capabilities that the peer in a role must have declared, beside the role itself.
        parameters: name -> values; an instance for every combination.
        profiles: names under which ``--profile`` finds the case, beside its module's name.
        limit: seconds for one attempt; then the verdict is ``hang``.
        exclusive: run with nothing else beside it (load-sensitive cases).
        registry: where to register (tests).

    Raises:
        HarnessError: the case has no docstring, no requirement, no reason, or an unknown name in it.
    """

    def register(function: CaseFunction) -> CaseFunction:
        module = function.__module__.removeprefix("alts_conformance.cases.")
        name = f"{module}::{function.__name__}"
        made = Case(
            id=name,
            function=function,
            text=inspect.getdoc(function) or "",
            requirements=tuple(requirements),
            severity=severity,
            why=why,
            subjects=tuple(subjects),
            helpers=dict(helpers or {}),
            needs={role: frozenset(wanted) for role, wanted in (needs or {}).items()},
            parameters={key: tuple(values) for key, values in (parameters or {}).items()},
            profiles=frozenset(profiles) | {module},
            limit=limit,
            exclusive=exclusive,
        )
        problems = lint(made)
        if problems:
            raise HarnessError(f"case {name}: " + "; ".join(problems))
        (registry or REGISTRY).add(made)
        return function

    return register


def lint(made: Case) -> list[str]:
    """What is wrong with a case, in words."""
    problems = []
    if not inspect.iscoroutinefunction(made.function):
        problems.append("must be a coroutine function")
    if len(made.text) < 20:
        problems.append("needs a docstring: it is the published text")
    if len(made.why) < 10:
        problems.append("says not why it matters")
    if not made.requirements:
        problems.append("names no requirement")
    known = requirement_ids()
    problems += [f"unknown requirement {name}" for name in made.requirements if name not in known]
    if not made.subjects:
        problems.append("judges nobody")
    roles = [*made.subjects, *made.helpers]
    problems += [f"unknown role {role}" for role in [*roles, *made.needs] if role not in ROLES]
    if len(set(roles)) != len(roles):
        problems.append("fills a role twice")
    wanted = set(inspect.signature(made.function).parameters) - {"run"}
    if wanted != set(made.parameters):
        problems.append(f"takes {sorted(wanted)} but has parameters {sorted(made.parameters)}")
    return problems


def requirement_ids() -> frozenset[str]:
    """All requirement IDs: from docs/requirements.json in a checkout, else from the packaged list.

    Raises:
        HarnessError: neither can be read.
    """
    global _requirement_ids
    if _requirement_ids is None:
        checkout = Path(__file__).resolve().parents[2] / "docs" / "requirements.json"
        try:
            if checkout.is_file():
                table = json.loads(checkout.read_text(encoding="utf-8"))
                _requirement_ids = frozenset(row["id"] for row in table["requirements"])
            else:
                _requirement_ids = frozenset(packaged_requirements())
        except (OSError, ValueError, KeyError) as error:
            raise HarnessError(f"no list of requirement IDs: {error}") from None
    return _requirement_ids


_requirement_ids: frozenset[str] | None = None


def expand(made: Case, peers: Mapping[str, frozenset[str]]) -> list[Instance]:
    """All instances of a case: every peer (pair) with the capabilities that it needs, every combination of
    parameters.
    """

    def fits(role: str, peer: str) -> bool:
        return {role, *made.needs.get(role, ())} <= peers.get(peer, frozenset())

    if not all(fits(role, peer) for role, peer in made.helpers.items()):
        return []
    choices = [[peer for peer in peers if fits(role, peer)] for role in made.subjects]
    instances = []
    for chosen in itertools.product(*choices):
        assignment = {**dict(zip(made.subjects, chosen, strict=True)), **made.helpers}
        for values in itertools.product(*made.parameters.values()):
            instances.append(Instance(made, assignment, dict(zip(made.parameters, values, strict=True))))
    return instances


def matches(instance_id: str, patterns: Sequence[str]) -> bool:
    """Whether an ID fits one of the globs; a glob without ``/`` also fits all instances of the cases that it fits."""
    case_id = instance_id.partition("/")[0]
    for pattern in patterns:
        if instance_id == pattern or fnmatch.fnmatchcase(instance_id, pattern):
            return True
        if "/" not in pattern and (fnmatch.fnmatchcase(case_id, pattern) or case_id.endswith("::" + pattern)):
            return True
    return False


def discover(extra: Sequence[str] = ()) -> Registry:
    """Import every module of ``alts_conformance.cases`` and the modules named in ``extra``.

    Raises:
        HarnessError: a module cannot be imported, or a case in it fails the lint.
    """
    from . import cases

    names = sorted(module.name for module in pkgutil.iter_modules(cases.__path__, "alts_conformance.cases."))
    for name in [*(n for n in names if not n.rpartition(".")[2].startswith("_")), *extra]:
        try:
            importlib.import_module(name)
        except HarnessError:
            raise
        except Exception as error:
            raise HarnessError(f"case module {name} cannot be loaded: {type(error).__name__}: {error}") from error
    return REGISTRY


def catalogue(registry: Registry) -> list[dict[str, Any]]:
    """The published list of cases."""
    return [
        {
            "id": made.id,
            "text": made.text,
            "requirements": list(made.requirements),
            "severity": made.severity.value,
            "why": made.why,
            "subjects": list(made.subjects),
            "profiles": sorted(made.profiles),
        }
        for made in registry.cases.values()
    ]


def packaged_requirements() -> list[str]:
    """The IDs as they are packaged, for the test that compares them with docs/requirements.json."""
    text = (resources.files("alts_conformance") / "requirements.json").read_text(encoding="utf-8")
    return list(json.loads(text))
