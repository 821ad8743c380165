"""A pytest plugin: the `req` marker, checked against the requirement table, and a record of what passed for which ID.

The record goes to `build/requirements-tests.json`:
`{"complete": bool, "left_out": [reason], "exit": int, "requirements": {ID: {"passed": [node ID], "failed": [...],
"skipped": [...]}}}`. `complete` says that nothing was left out, and `left_out` why something was: every test file below
`testpaths` has to be collected, nothing of it deselected, and no option given that could change either. `exit` is
pytest's exit status: of a run that failed, by a test without a requirement too, nothing is evidence. A run takes away
the record of the one before. Works with pytest-xdist too: IDs travel with the reports, reasons with a worker's output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.gen_requirements import load

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "build" / "requirements-tests.json"
_PROPERTY = "requirement"
_OUTPUT = "openalts_left_out"
# Options that leave tests out, or change what they are or what passing means, by the names that pytest has inside.
_NARROWING = {
    "keyword": "-k",
    "markexpr": "-m",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "deselect": "--deselect",
    "lf": "--lf",
    "stepwise": "--stepwise",
    "collectonly": "--collect-only",
    "setuponly": "--setup-only",
    "setupplan": "--setup-plan",
    "runxfail": "--runxfail",
    "continue_on_collection_errors": "--continue-on-collection-errors",
    "override_ini": "--override-ini",
    "inifilename": "--config-file",
    "rootdir": "--rootdir",
}
_STRICTER = {"strict_markers=true", "strict_config=true"}
"""What newer versions of pytest make of `--strict-markers` and `--strict-config`, which this project gives itself."""


def marked_ids(item: pytest.Item) -> list[str]:
    """The requirement IDs of a test, of its class and of its module, sorted, each once."""
    return sorted({str(argument) for marker in item.iter_markers("req") for argument in marker.args})


class RequirementEvidence:
    """Checks the markers of each test before it runs and collects the outcomes."""

    def __init__(self, known: frozenset[str], record: Path, config: pytest.Config) -> None:
        self._known = known
        self._record = record
        self._root = config.rootpath
        self._writes = not hasattr(config, "workerinput")
        self._left_out = set(_narrowed(config) if self._writes else ())
        self._seen: set[Path] = set()
        self._outcome: dict[str, str] = {}
        self._ids: dict[str, list[str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """A run that is killed leaves no record, least of all an old one."""
        if self._writes and not session.config.option.collectonly:
            self._record.unlink(missing_ok=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """An unknown ID, or a marker without any, fails the test: evidence for nothing is a mistake."""
        for marker in item.iter_markers("req"):
            unknown = [argument for argument in marker.args if argument not in self._known]
            if unknown:
                pytest.fail(f"req: not in docs/requirements.json: {', '.join(map(repr, unknown))}", pytrace=False)
            if not marker.args or marker.kwargs:
                pytest.fail("req: takes requirement IDs, at least one, and nothing else", pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Puts the IDs on the setup report, which every test has."""
        if not any(name == _PROPERTY for name, _ in item.user_properties):
            item.user_properties.extend((_PROPERTY, name) for name in marked_ids(item))
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The worst phase counts: a test whose teardown fails has not passed."""
        ids = sorted({str(value) for name, value in report.user_properties if name == _PROPERTY})
        if not ids:
            return
        self._ids[report.nodeid] = ids
        previous = self._outcome.get(report.nodeid)
        if report.failed:
            self._outcome[report.nodeid] = "failed"
        elif report.skipped and previous != "failed":
            self._outcome[report.nodeid] = "skipped"
        elif report.when == "call" and previous is None:
            self._outcome[report.nodeid] = "passed"

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Some tests were left out."""
        self._left_out.add("tests were deselected")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that is skipped as a whole has been looked at; one that fails ends the run."""
        if not report.passed:
            self._seen.add(self._root / report.nodeid.partition("::")[0])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Every test file has to be there. With pytest-xdist it is the workers that collect."""
        if self._writes and session.config.getoption("numprocesses", None):
            return
        seen = self._seen | {item.path for item in session.items}
        for path in sorted(_test_files(session.config) - seen):
            self._left_out.add(f"{path.relative_to(self._root)} was not collected")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """What a worker of pytest-xdist left out."""
        output = getattr(node, "workeroutput", {})
        self._left_out.update(output.get(_OUTPUT, ["a worker of pytest-xdist did not say what it left out"]))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Writes the record, whole or not at all. Workers of pytest-xdist leave it to their controller."""
        if not self._writes:
            vars(session.config)["workeroutput"][_OUTPUT] = sorted(self._left_out)  # pytest-xdist's, not declared
            return
        if not self._outcome:
            return
        if session.shouldstop or session.shouldfail:
            self._left_out.add("the run was stopped")
        table: dict[str, dict[str, list[str]]] = {}
        for nodeid, outcome in sorted(self._outcome.items()):
            for name in self._ids[nodeid]:
                table.setdefault(name, {"passed": [], "failed": [], "skipped": []})[outcome].append(nodeid)
        self._record.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._record.with_suffix(f".{os.getpid()}.tmp")
        document = {
            "complete": not self._left_out,
            "left_out": sorted(self._left_out),
            "exit": int(exitstatus),
            "requirements": dict(sorted(table.items())),
        }
        scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        scratch.replace(self._record)


def _narrowed(config: pytest.Config) -> Iterator[str]:
    """What the command line leaves out, as far as it says so itself."""
    for name, option in _NARROWING.items():
        given = getattr(config.option, name, None)
        if name == "override_ini":
            given = set(given or ()) - _STRICTER
        if given:
            yield f"{option} was given"
    if config.args_source is not config.ArgsSource.TESTPATHS:
        yield "tests were named, or the run began in a folder below"
    if sys.flags.optimize:
        yield "Python ran without assertions"


def _test_files(config: pytest.Config) -> set[Path]:
    """All test files, whatever of them is collected."""
    folders = [config.rootpath / name for name in config.getini("testpaths")]
    patterns = config.getini("python_files")
    return {path for folder in folders for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}


def register(config: pytest.Config, record: Path = RECORD) -> None:
    """Installs the plugin; called from `pytest_configure`."""
    _, requirements = load()
    config.pluginmanager.register(
        RequirementEvidence(frozenset(item.id for item in requirements), record, config),
        "openalts-requirement-evidence",
    )
