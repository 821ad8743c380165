"""The requirement table is well-formed, and whatever names a requirement names one that exists."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.markdown import anchors
from tools.gen_requirements import PAGE, load, render

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
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

STRICT = " ".join(option for option in OPTIONS if option.startswith("--strict"))
"""As the project gives them to itself; newer versions of pytest turn them into settings that override the file's."""
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
        f"[pytest]\npythonpath = {ROOT}\ntestpaths = .\nmarkers = req(*ids): evidence\n"
        f"addopts = -p no:cacheprovider {STRICT}\n",
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


PARTS = [
    (["-k", "one"], "-k was given"),
    (["-k", "test"], "-k was given"),  # although it fits every test
    (["-m", "req"], "-m was given"),
    (["-m", "not slow"], "-m was given"),
    (["--deselect", "test_first.py::test_one"], "tests were deselected"),
    (["--ignore", "test_second.py"], "test_second.py was not collected"),
    (["--ignore-glob", "*second*"], "test_second.py was not collected"),
    (["--lf"], "--lf was given"),
    (["--sw"], "--stepwise was given"),
    (["--runxfail"], "--runxfail was given"),
    (["-o", "testpaths=test_first.py"], "--override-ini was given"),
    (["-o", "python_functions=test_one*"], "--override-ini was given"),
    (["-c", "other.ini"], "--config-file was given"),
    (["test_first.py"], "tests were named, or the run began in a folder below"),
    (["test_first.py::test_one"], "tests were named, or the run began in a folder below"),
    (["."], "tests were named, or the run began in a folder below"),
]


@pytest.fixture(scope="module")
def three_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test files that pass, in a checkout of their own, one of them skipped as a whole."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "test_first.py").write_text(
        'import pytest\npytestmark = pytest.mark.req("HS-5")\n'
        "def test_one() -> None: ...\ndef test_two() -> None: ...\n"
    )
    (root / "below").mkdir()
    (root / "test_second.py").write_text('import pytest\n@pytest.mark.req("HS-7")\ndef test_one() -> None: ...\n')
    (root / "below" / "test_third.py").write_text('import pytest\npytest.skip("not here", allow_module_level=True)\n')
    (root / "below" / "test_fourth.py").write_text("def test_one() -> None: ...\n")
    (root / "conftest.py").write_text(INNER_CONFTEST)
    settings = f"[pytest]\npythonpath = {ROOT}\ntestpaths = .\nmarkers =\n req(*ids): evidence\n slow: none\n"
    settings += f"addopts = {STRICT}\n"
    for name in ("pytest.ini", "other.ini"):
        (root / name).write_text(settings)
    return root


def complete(root: Path, *arguments: str, below: str = ".", **environment: str) -> tuple[bool, list[str]]:
    """What the record says of a run that passes: whether it is whole, and why not."""
    (root / "record.json").unlink(missing_ok=True)
    # Without -n no plugins are needed, and most of the time goes into loading them.
    env = {**os.environ, **environment, **({} if "-n" in arguments else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})}
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    done = subprocess.run(command, cwd=root / below, env=env, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((root / "record.json").read_text(encoding="utf-8"))
    assert record["exit"] == 0
    return record["complete"], record["left_out"]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_whole_run_is_called_whole(three_files: Path, processes: str) -> None:
    assert complete(three_files, "-n", processes, "-v", "--tb=short", "--durations=3") == (True, [])


@pytest.mark.parametrize(("arguments", "reason"), PARTS)
def test_a_part_of_a_run_is_never_a_whole_record(three_files: Path, arguments: list[str], reason: str) -> None:
    whole, reasons = complete(three_files, *arguments)
    assert not whole
    assert reason in reasons


@pytest.mark.parametrize("option", ["--deselect=test_first.py::test_one", "--ignore=test_second.py", "--lf"])
def test_what_a_worker_leaves_out_is_known(three_files: Path, option: str) -> None:
    whole, reasons = complete(three_files, "-n", "2", option)
    assert not whole
    assert any(reason.startswith(("tests were deselected", "test_second.py was", "--lf")) for reason in reasons)


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_a_run_without_tests_leaves_no_record(three_files: Path, option: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"record\.json"):
        complete(three_files, option)


def test_a_part_may_also_come_from_the_environment_or_the_folder(three_files: Path) -> None:
    assert not complete(three_files, PYTEST_ADDOPTS="--deselect=test_first.py::test_one")[0]
    assert not complete(three_files, PYTEST_ADDOPTS="test_first.py")[0]
    assert not complete(three_files, PYTHONOPTIMIZE="1")[0]
    (three_files / "test_second.py").rename(three_files / "below" / "test_second.py")
    try:
        assert not complete(three_files, below="below")[0]
    finally:
        (three_files / "below" / "test_second.py").rename(three_files / "test_second.py")
