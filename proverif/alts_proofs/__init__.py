"""Proofs of the handshake: ProVerif scripts with their expected results, and the prover that compares the two.

`load_manifest` reads what is expected, `select_engine` finds something that can prove, `prove` runs it, `Report` tells
how it went. The command is ``alts prove``, also ``python -m alts_proofs``.
"""

from __future__ import annotations

from alts_proofs._compare import Comparison, compare
from alts_proofs._engines import ENGINES, Engine, select_engine
from alts_proofs._errors import EngineFailure, EngineUnavailable, ManifestError, ProofsError, UsageError
from alts_proofs._manifest import SCRIPTS, Manifest, Query, Script, load_manifest
from alts_proofs._outcome import Outcome
from alts_proofs._prove import prove, skip
from alts_proofs._proverif import ProVerif
from alts_proofs._report import FileReport, Report, report_schema
from alts_proofs._trace import TraceStep, trace_chart, write_charts
from alts_proofs.engine import BuiltIn

__all__ = [
    "ENGINES",
    "SCRIPTS",
    "BuiltIn",
    "Comparison",
    "Engine",
    "EngineFailure",
    "EngineUnavailable",
    "FileReport",
    "Manifest",
    "ManifestError",
    "Outcome",
    "ProVerif",
    "ProofsError",
    "Query",
    "Report",
    "Script",
    "TraceStep",
    "UsageError",
    "compare",
    "load_manifest",
    "prove",
    "report_schema",
    "select_engine",
    "skip",
    "trace_chart",
    "write_charts",
]
