"""A pytest plugin: the `req` marker, checked against the requirement table, and a record of what passed for which ID.

The record goes to `build/requirements-tests.json`:
`{"complete": bool, "exit": int, "requirements": {ID: {"passed": [node ID], "failed": [...], "skipped": [...]}}}`.
`complete` says that nothing was left out by a path, `-k` or `-m`. `exit` is pytest's exit status: of a run that failed,
by a test without a requirement too, nothing is evidence. A run takes away the record of the one before. Works with
pytest-xdist too: the IDs travel with the reports.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tools.gen_requirements import load

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "build" / "requirements-tests.json"
_PROPERTY = "requirement"


def marked_ids(item: pytest.Item) -> list[str]:
    """The requirement IDs of a test, of its class and of its module, sorted, each once."""
    return sorted({str(argument) for marker in item.iter_markers("req") for argument in marker.args})


class RequirementEvidence:
    """Checks the markers of each test before it runs and collects the outcomes."""

    def __init__(self, known: frozenset[str], record: Path, *, writes: bool, complete: bool) -> None:
        self._known = known
        self._record = record
        self._writes = writes
        self._complete = complete
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
        self._complete = False

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Writes the record, whole or not at all. Workers of pytest-xdist leave it to their controller."""
        if not self._writes or not self._outcome:
            return
        table: dict[str, dict[str, list[str]]] = {}
        for nodeid, outcome in sorted(self._outcome.items()):
            for name in self._ids[nodeid]:
                table.setdefault(name, {"passed": [], "failed": [], "skipped": []})[outcome].append(nodeid)
        self._record.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._record.with_suffix(f".{os.getpid()}.tmp")
        complete = self._complete and not (session.shouldstop or session.shouldfail)
        document = {"complete": complete, "exit": int(exitstatus), "requirements": dict(sorted(table.items()))}
        scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        scratch.replace(self._record)


def register(config: pytest.Config, record: Path = RECORD) -> None:
    """Installs the plugin; called from `pytest_configure`."""
    _, requirements = load()
    narrowed = bool(config.option.keyword or config.option.markexpr) or config.args_source is config.ArgsSource.ARGS
    config.pluginmanager.register(
        RequirementEvidence(
            frozenset(item.id for item in requirements),
            record,
            writes=not hasattr(config, "workerinput"),
            complete=not narrowed,
        ),
        "openalts-requirement-evidence",
    )
