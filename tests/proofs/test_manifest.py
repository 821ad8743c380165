"""Expected results: what is accepted and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alts_proofs import ManifestError, UsageError, load_manifest
from tests.proofs import fake

pytestmark = pytest.mark.req("HS-13")


def load(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = copy.deepcopy(fake.expectations())
    change(document)
    place = fake.place(folder, document)
    load_manifest(place.manifest, place.root)


def queries(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["files"][0]["queries"]
    return found


def test_made_up_manifest_is_read(tmp_path: Path) -> None:
    place = fake.place(tmp_path)
    manifest = load_manifest(place.manifest, place.root)
    (script,) = manifest.scripts
    assert script.arguments() == ["-lib", "lib/all.pvl", "made_up.pv"]
    assert [query.id for query in script.queries] == [query[0] for query in fake.QUERIES]
    assert manifest.queries["made-up/reached"].expected == "false"


def test_replacement_keeps_the_place_of_the_library(tmp_path: Path) -> None:
    document = fake.expectations()
    document["profiles"]["plain"] = ["lib/all.pvl"]
    document["files"][0]["replace"] = {"lib/all.pvl": "lib/other.pvl"}
    place = fake.place(tmp_path, document)
    assert load_manifest(place.manifest, place.root).scripts[0].libraries == ("lib/other.pvl",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("files"), "'files' is a required property"),
        (lambda d: queries(d)[0].update(expected="perhaps"), "expected"),
        (lambda d: queries(d)[0].update(requirements=[]), "requirements"),
        (lambda d: queries(d)[0].pop("echo"), "echo"),
        (lambda d: queries(d)[0].update(expected="false"), "expected"),
        (lambda d: queries(d)[2].update(expected="true"), "expected"),
        (lambda d: d["files"][0].update(profile="none"), "no profile"),
        (lambda d: d["files"][0].update(file="absent.pv"), "no file absent.pv"),
        (lambda d: d["files"][0].update(replace={"lib/none.pvl": "lib/other.pvl"}), "does not have"),
        (lambda d: d["files"].append(d["files"][0]), "listed twice"),
        (lambda d: queries(d).append(queries(d)[0]), "listed twice"),
        (lambda d: queries(d)[0].pop("no_twin"), "neither a twin nor a reason"),
        (lambda d: queries(d)[2].update(kind="twin", twin_of="made-up/nothing"), "no query made-up/nothing"),
        (lambda d: queries(d)[2].update(kind="twin", twin_of="made-up/secret"), "is not the query"),
        (lambda d: queries(d)[2].update(kind="twin", twin_of="made-up/reached"), "has no twin"),
        (lambda d: queries(d)[2].update(kind="twin"), "twin_of"),
    ],
)
def test_bad_manifest_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        load(tmp_path, change)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_manifest_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    place = fake.place(tmp_path)
    place.manifest.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError):
        load_manifest(place.manifest, place.root)


def test_scripts_are_chosen_by_name_pattern_and_path(tmp_path: Path) -> None:
    place = fake.place(tmp_path)
    manifest = load_manifest(place.manifest, place.root)
    for pattern in ("made_up.pv", "made*", str(place.root / "made_up.pv")):
        assert [script.file for script in manifest.select([pattern])] == ["made_up.pv"]
    with pytest.raises(UsageError, match="nothing"):
        manifest.select(["made_up.pv", "nothing.pv"])
