"""Reports from one result model: JSON (with a published schema) and JUnit XML."""

from __future__ import annotations

import contextlib
import json
import platform
import shlex
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ._case import Registry, catalogue
from ._runner import Options, Result
from ._verdict import FINDINGS, HarnessError, Verdict

SCHEMA_VERSION = 1
#: Verdicts in the order in which a reader wants them.
ORDER = [
    Verdict.HARNESS,
    Verdict.CRASH,
    Verdict.HANG,
    Verdict.FAIL,
    Verdict.FLAKY,
    Verdict.KNOWN,
    Verdict.LENIENT,
    Verdict.SKIPPED,
    Verdict.PASS,
]


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that the reports are made of."""

    options: Options
    registry: Registry
    results: Sequence[Result]
    versions: Mapping[str, str]
    unavailable: Mapping[str, str]
    errors: Sequence[str]
    seconds: float
    interrupted: bool = False
    #: Why the harness could not finish, or None.
    fault: str | None = None

    @property
    def complaints(self) -> list[str]:
        """What is wrong beside the verdicts: with the known findings, and with the harness."""
        return [*self.errors, *([f"the harness failed: {self.fault}"] if self.fault is not None else [])]

    def counts(self) -> dict[str, int]:
        """Verdict -> number of instances, every verdict there."""
        found = Counter(result.attempt.verdict for result in self.results)
        return {verdict.value: found.get(verdict, 0) for verdict in Verdict}

    def exit_code(self, *, peers_required: bool) -> int:
        """0 all well, 1 findings, 3 the harness failed or nothing ran, 130 interrupted."""
        if self.interrupted:
            return 130
        judged = [r for r in self.results if r.attempt.verdict is not Verdict.SKIPPED]
        if not judged or any(r.attempt.verdict is Verdict.HARNESS for r in self.results):
            return 3
        if self.fault is not None or "reference" in self.unavailable:
            return 3
        if self.unavailable and peers_required:
            return 3
        if self.errors or any(result.attempt.verdict in FINDINGS for result in self.results):
            return 1
        return 0


def reproduce_command(result: Result, options: Options) -> str:
    """The shell command that runs this instance again with the same choices."""
    parts = ["alts", "conform", "--case", result.instance.id, "--seed", str(options.seed)]
    for peer in sorted(result.instance.peers):
        parts += ["--peer", peer]
    for module in options.cases:
        parts += ["--cases", module]
    for driver in options.drivers:
        parts += ["--driver", driver]
    return shlex.join(parts)


def as_document(summary: Summary) -> dict[str, Any]:
    """The JSON report (schemas/report.schema.json)."""
    return {
        "schema": SCHEMA_VERSION,
        "seed": summary.options.seed,
        "seconds": round(summary.seconds, 3),
        "platform": {"python": platform.python_version(), "system": platform.system(), "release": platform.release()},
        "peers": [
            {
                "name": name,
                "version": summary.versions.get(name, "unknown"),
                "unavailable": summary.unavailable.get(name),
            }
            for name in dict.fromkeys([*summary.options.peers, *summary.unavailable])
        ],
        "counts": summary.counts(),
        "interrupted": summary.interrupted,
        "errors": summary.complaints,
        "cases": catalogue(summary.registry),
        "results": [
            {
                "id": result.instance.id,
                "case": result.instance.case.id,
                "peers": list(result.instance.subjects),
                "assignment": dict(result.instance.assignment),
                "requirements": list(result.instance.case.requirements),
                "verdict": result.attempt.verdict.value,
                "reaction": result.attempt.reaction,
                "message": result.attempt.message,
                "seconds": result.attempt.seconds,
                "attempts": result.attempts,
                "transcript": result.attempt.transcript,
                "notes": result.attempt.notes,
                "reproduce": reproduce_command(result, summary.options),
            }
            for result in summary.results
        ],
    }


def as_junit(summary: Summary) -> str:
    """JUnit XML: a suite for each case module, an element for each instance."""
    root = ET.Element("testsuites", name="alts conform", time=f"{summary.seconds:.3f}")
    suites: dict[str, list[Result]] = {}
    for result in summary.results:
        suites.setdefault(result.instance.case.module, []).append(result)
    for module, results in suites.items():
        verdicts = Counter(result.attempt.verdict for result in results)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=module,
            tests=str(len(results)),
            failures=str(sum(verdicts[v] for v in FINDINGS)),
            errors=str(verdicts[Verdict.HARNESS]),
            skipped=str(verdicts[Verdict.SKIPPED]),
            time=f"{sum(result.attempt.seconds for result in results):.3f}",
        )
        for result in results:
            _junit_case(suite, result, summary.options)
    for error in summary.complaints:
        suite = ET.SubElement(root, "testsuite", name="alts conform", tests="1", failures="1", errors="0", skipped="0")
        case = ET.SubElement(suite, "testcase", classname="run", name=_printable(error))
        ET.SubElement(case, "failure", message=_printable(error))
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _junit_case(suite: ET.Element, result: Result, options: Options) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=result.instance.case.module,
        name=result.instance.id.partition("::")[2],
        time=f"{result.attempt.seconds:.3f}",
    )
    verdict, message = result.attempt.verdict, _printable(result.attempt.message)
    if verdict in FINDINGS or verdict is Verdict.HARNESS:
        kind = "error" if verdict is Verdict.HARNESS else "failure"
        element = ET.SubElement(case, kind, message=message, type=verdict.value)
        element.text = _printable(
            f"requirements: {', '.join(result.instance.case.requirements)}\n"
            f"reproduce: {reproduce_command(result, options)}\n"
            f"transcript: {result.attempt.transcript}\n" + "\n".join(result.attempt.notes)
        )
    elif verdict is Verdict.SKIPPED:
        ET.SubElement(case, "skipped", message=message)
    elif verdict is not Verdict.PASS:
        output = ET.SubElement(case, "system-out")
        output.text = f"{verdict}: {message}"


def _printable(text: str) -> str:
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def write_reports(summary: Summary, folder: Path) -> None:
    """Write report.json and junit.xml, each whole or not at all.

    Raises:
        HarnessError: one of them cannot be written; the other may be there.
    """
    documents = {"junit.xml": as_junit(summary), "report.json": json.dumps(as_document(summary), indent=1)}
    problems = [problem for name, text in documents.items() if (problem := _replace(folder / name, text + "\n"))]
    if problems:
        raise HarnessError("; ".join(problems))


def _replace(path: Path, text: str) -> str | None:
    """Write a file under another name and rename it; returns what went wrong, and leaves nothing half written."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return f"report {path} cannot be written: {error.strerror or error}"
    return None


def prepare(folder: Path) -> None:
    """Make the report folder, remove what an earlier run left in it, and see that it can be written.

    Raises:
        HarnessError: it cannot.
    """
    try:
        (folder / "transcripts").mkdir(parents=True, exist_ok=True)
        for old in (folder / "transcripts").glob("*.jsonl"):
            old.unlink()
        for name in ("report.json", "junit.xml"):
            (folder / name).unlink(missing_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise HarnessError(f"report directory {folder} cannot be written: {error.strerror or error}") from None


def schema(name: str) -> dict[str, Any]:
    """A published JSON Schema: ``report``, ``known`` or ``driver``."""
    text = (resources.files("alts_conformance") / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
