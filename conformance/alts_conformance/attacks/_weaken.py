"""Weakened builds: temporary copies of the implementation with named checks taken out by patches.

Shipped code has no switch that weakens anything. A patch is one of ``weakened/*.patch`` here, or a conformance mutant
(``mutants/*.patch``). One that does not apply any more is a failure of the harness.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from .. import _mutants
from .._verdict import HarnessError


def patch_text(name: str) -> str:
    """The unified diff of this name, without its header.

    Raises:
        HarnessError: there is none.
    """
    package = resources.files("alts_conformance")
    for folder in (package / "attacks" / "weakened", package / "mutants"):
        entry = folder / f"{name}.patch"
        if entry.is_file():
            text = entry.read_text(encoding="utf-8")
            return text[text.index("--- a/") :]
    raise HarnessError(f"there is no patch {name}")


def weakened_copy(names: Sequence[str], folder: Path) -> Path:
    """Copy the implementation below `folder` and apply patches to it; returns what belongs into PYTHONPATH.

    Raises:
        HarnessError: a patch does not apply.
    """
    # With the compiled modules: they stay good, since times are copied, and those of patched files are made anew.
    shutil.copytree(_mutants.source_root() / "alts", folder / "alts")
    for name in names:
        _mutants.apply_diff(patch_text(name), folder)
    return folder
