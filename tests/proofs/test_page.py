"""`docs/proofs.md` is what its generator makes of the expected results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alts_proofs import load_manifest
from alts_proofs.mutate_run import MUTANTS
from tools.gen_proofs import PAGE, main, render

pytestmark = pytest.mark.req("HS-13")


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(load_manifest()), "run `make proofs-page`"
    assert main(["--check"]) == 0


def test_changed_results_change_the_page() -> None:
    manifest = load_manifest()
    first = manifest.scripts[0]
    changed = replace(first, queries=(replace(first.queries[0], property="Something else"), *first.queries[1:]))
    other = replace(manifest, scripts=(changed, *manifest.scripts[1:]))
    assert render(other) != render(manifest)
    assert render(manifest, MUTANTS[1:]) != render(manifest)


def test_page_names_every_query_and_mutant() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [query for query in load_manifest().queries if f"| `{query}` |" not in page] == []
    assert [mutant.name for mutant in MUTANTS if f"| `{mutant.name}` |" not in page] == []
