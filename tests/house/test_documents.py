"""Documents lead somewhere, and no file names what a clone cannot or must not reach."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.house.markdown import anchors, broken_links, links

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".git", ".venv", "build", "dist"}

# Put together here, so that this file does not contain them.
REGISTRIES = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("crates", "io"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("proxy", "golang", "org"),
        ("maven", "org"),
        ("maven", "apache", "org"),
        ("deb", "debian", "org"),
        ("conda", "anaconda", "org"),
        ("rubygems", "org"),
        ("ghcr", "io"),
        ("docker", "io"),
        ("quay", "io"),
        ("gcr", "io"),
    ]
]
OUTSIDE = ["/".join(parts) for parts in [("", "work", "main"), ("", "work", "shared"), ("..", "shared")]]


def repository_files(root: Path) -> list[Path]:
    """The files of the repository: what git tracks or would track; in an unpacked archive, all but what is built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (root / ".git").exists():
        done = subprocess.run(command, cwd=root, capture_output=True, check=True)
        names = sorted(name.decode() for name in done.stdout.split(b"\0") if name)
        return [root / name for name in names if (root / name).is_file()]
    return [p for p in sorted(root.rglob("*")) if p.is_file() and not _NOT_OURS & set(p.relative_to(root).parts)]


def mentions(files: list[Path], words: list[str]) -> list[str]:
    """One line for each file that contains one of `words`."""
    found = []
    for path in files:
        content = path.read_bytes()
        found += [f"{path}: {word}" for word in words if word.encode() in content]
    return found


def test_no_file_names_a_registry_host() -> None:
    files = repository_files(ROOT)
    assert ROOT / "pyproject.toml" in files
    assert not mentions(files, REGISTRIES)


def test_no_file_names_a_place_outside_the_repository() -> None:
    assert not mentions(repository_files(ROOT), OUTSIDE)


def test_a_planted_host_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "notes.txt"
    planted.write_text(f"see https://{REGISTRIES[0]}/simple\n", encoding="utf-8")
    assert mentions([planted], REGISTRIES) == [f"{planted}: {REGISTRIES[0]}"]
    assert planted in repository_files(tmp_path)


def test_links_between_documents_resolve() -> None:
    documents = [path for path in repository_files(ROOT) if path.suffix == ".md"]
    assert ROOT / "README.md" in documents
    wrong = [line for path in documents for line in broken_links(path, ROOT)]
    assert not wrong, "\n".join(wrong)


def test_broken_links_are_found(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text('# One: `two`, three\n\n# Same\n# Same\n<a id="x-1"></a>\n', encoding="utf-8")
    assert anchors(other) == {"one-two-three", "same", "same-1", "x-1"}
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#same-1) [c](#top) ![d](other.md 'title') [e](https://example.com/none)\n"
    code = "`[f](none.md)`\n```\n[g](none.md)\n```\n<!-- [h](none.md) -->\n"
    page.write_text(f"# Top\n{good}{code}[i]: other.md#x-1\n", encoding="utf-8")
    assert broken_links(page, tmp_path) == []
    bad = "[a](none.md) [b](other.md#none) [c](#none) [d](/etc/passwd) [e](../outside.md)\n[f]: none.md\n"
    page.write_text(bad, encoding="utf-8")
    assert len(broken_links(page, tmp_path)) == len(links(bad)) == 6


EXPECTED = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "docs/index.md"]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_documents_that_a_stranger_expects_are_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 500
