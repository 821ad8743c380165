"""`alts bench revocation` runs on a small scale and checks what it times; its bound is the binomial coefficient."""

from __future__ import annotations

import argparse
import json
import math

import pytest

from alts_bench import _revocation
from alts_bench.cli import add_arguments, run


def bench(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


@pytest.mark.req("REVOKE-7")
def test_a_small_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("revocation", "--issued", "400000", "--seconds", "0.01", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["revocation"]
    assert [round(row["revoked"] / row["issued"], 2) for row in rows] == [0.01, 0.05]
    assert all(row["file_bytes"] < row["raw_list_bytes"] < row["database_bytes"] for row in rows)
    assert bench("revocation", "--issued", "40000", "--seconds", "0.01") == 0
    assert "entropy bound" in capsys.readouterr().out


def test_the_bound_is_that_of_the_binomial_coefficient() -> None:
    exact = math.log2(math.comb(4000, 200)) / 8
    assert _revocation.entropy_bound(4000, 200) == pytest.approx(exact, rel=1e-9)


def test_a_wrong_answer_ends_the_run() -> None:
    with pytest.raises(RuntimeError):
        _revocation._asked([1], True, lambda _: None)()


@pytest.mark.parametrize("issued", ["0", "-40", "40001"])
def test_nonsense_is_a_usage_error(issued: str) -> None:
    assert bench("revocation", "--issued", issued) == 2
