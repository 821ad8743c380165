"""The built-in prover: reads the typed ProVerif language, translates to Horn clauses, saturates, and runs attacks.

`BuiltIn` is what ``alts prove --engine builtin`` uses. For other uses: `parse_script` or `parse_text`, then
`elaborate`, then `settle`. ``true`` means that saturation leaves no derivation of the contrary, ``false`` that a run
of the script contradicts the query, step by step; what it does not know it refuses by name and line (`Unsupported`).
"""

from __future__ import annotations

from alts_proofs.engine._builtin import BuiltIn
from alts_proofs.engine._elaborate import elaborate
from alts_proofs.engine._errors import EngineError, ScriptError, TimeUp, Unsupported
from alts_proofs.engine._parser import parse_script, parse_text
from alts_proofs.engine._settle import Progress, Verdict, settle

__all__ = [
    "BuiltIn",
    "EngineError",
    "Progress",
    "ScriptError",
    "TimeUp",
    "Unsupported",
    "Verdict",
    "elaborate",
    "parse_script",
    "parse_text",
    "settle",
]
