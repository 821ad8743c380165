"""The requirement table is well-formed, and whatever names a requirement names one that exists."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.markdown import anchors
from tools.gen_requirements import PAGE, load, render

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "SPEC.md"


@pytest.fixture(scope="module")
def known() -> set[str]:
    return {item.id for item in load()[1]}


def test_the_table_is_complete_and_the_page_is_generated_from_it(known: set[str]) -> None:
    groups, requirements = load()
    assert list(groups) == ["TRUST", "CRED", "ISSUE", "POLICY", "REVOKE", "HS", "REC", "RES", "TRADE"]
    assert len(known) == len(requirements)
    assert PAGE.read_text(encoding="utf-8") == render(groups, requirements), "run `make requirements`"


@pytest.mark.parametrize(
    "change",
    [{"id": "hs-1"}, {"id": "HS-3"}, {"group": "NEW", "id": "NEW-1"}, {"group": "REC"}, {"text": " "}, {"source": ""}],
)
def test_a_bad_table_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    row = {"id": "HS-1", "group": "HS", "text": "t", "source": "s"}
    document = {"groups": [{"id": "HS", "title": "handshake"}, {"id": "REC", "title": "record"}], "requirements": [row]}
    path = tmp_path / "requirements.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert [item.id for item in load(path)[1]] == ["HS-1"]
    row.update(change)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ValueError, match="requirement"):
        load(path)


def marker_ids(source: str) -> list[tuple[int, object]]:
    """The arguments of every `mark.req(...)` in a module, with their lines; a computed one as None."""
    found: list[tuple[int, object]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.req"):
            values = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
            found += [(node.lineno, value) for value in values]
    return found


def test_every_requirement_that_a_test_names_exists(known: set[str]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {value!r}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for line, value in marker_ids(path.read_text(encoding="utf-8"))
        if value is not None and value not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_the_marker_search_sees_unknown_ids() -> None:
    source = "pytestmark = pytest.mark.req('X')\n@pytest.mark.req('HS-5', 'HS-99', name)\ndef test() -> None: ...\n"
    assert marker_ids(source) == [(1, "X"), (2, "HS-5"), (2, "HS-99"), (2, None)]


def test_every_requirement_that_a_document_names_exists(known: set[str]) -> None:
    groups = "|".join(load()[0])
    pattern = re.compile(rf"(?<![A-Za-z0-9-])((?:{groups})-[0-9]+)(?![A-Za-z0-9-])")
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("*/README.md"))]
        for name in pattern.findall(path.read_text(encoding="utf-8"))
        if name not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_the_anchors_of_the_specification_are_unique() -> None:
    explicit = re.findall(r'<a\s+(?:id|name)="([^"]+)"', SPEC.read_text(encoding="utf-8"))
    twice = sorted({name for name in explicit if explicit.count(name) > 1})
    assert not twice, f"anchors used twice: {twice}"
    assert anchors(SPEC), "a specification without anchors cannot be cited"


INNER = """
import pytest

@pytest.mark.req("HS-5", "HS-7")
def test_good() -> None: ...

@pytest.mark.req("HS-5")
def test_bad() -> None: assert False

@pytest.mark.req("HS-999")
def test_unknown() -> None: ...

@pytest.mark.req()
def test_empty() -> None: ...

@pytest.mark.req("REC-8")
def test_skipped() -> None: pytest.skip("not here")

@pytest.fixture
def falls() -> object:
    yield
    raise RuntimeError

@pytest.mark.req("REC-1")
def test_teardown(falls: object) -> None: ...

def test_unmarked() -> None: ...
"""

INNER_CONFTEST = """
from pathlib import Path
from tests import requirement_evidence

def pytest_configure(config):
    requirement_evidence.register(config, Path(__file__).parent / "record.json")
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_marker_is_checked_and_recorded(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_inner.py").write_text(INNER, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(INNER_CONFTEST, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {ROOT}\nmarkers = req(*ids): evidence\naddopts = -p no:cacheprovider\n",
        encoding="utf-8",
    )

    def inner(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-n", processes, *more]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)

    done = inner()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "req: not in docs/requirements.json: 'HS-999'" in done.stdout
    assert "req: takes requirement IDs" in done.stdout
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record["complete"] is True
    table = {
        name: {outcome: [node.partition("::")[2] for node in nodes] for outcome, nodes in row.items()}
        for name, row in record["requirements"].items()
    }
    assert table == {
        "HS-5": {"passed": ["test_good"], "failed": ["test_bad"], "skipped": []},
        "HS-7": {"passed": ["test_good"], "failed": [], "skipped": []},
        "HS-999": {"passed": [], "failed": ["test_unknown"], "skipped": []},
        "REC-1": {"passed": [], "failed": ["test_teardown"], "skipped": []},
        "REC-8": {"passed": [], "failed": [], "skipped": ["test_skipped"]},
    }
    narrow = inner("-k", "good")
    assert narrow.returncode == 0, narrow.stdout
    assert json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))["complete"] is False
