"""Nothing in the repository ties it to the machine or the mirror it was written with."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".txt", ".in", ".toml", ".yml", ".md", ".sh", ".sql", ".html", ".js", ".css", ".po", ""}
# Package indexes, and absolute paths of somebody's machine. Put together here so that this file passes itself.
FORBIDDEN = {
    "package index": re.compile("--(extra-)?index" + r"-url|--find" + r"-links|files\.python" + r"hosted\.org"),
    "path of a machine": re.compile(r"(?<![\w.])/(ho" + r"me/\w+|ro" + r"ot/\w|Us" + r"ers/\w+|wo" + r"rk/\w)"),
}


def files():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.suffix in TEXT and "vendor" not in path.parts:
            yield path


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names_an_index_or_a_machine(what):
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


def test_the_search_finds_a_planted_address():
    assert FORBIDDEN["package index"].search("--index" + "-url https://pypi.example.org/simple")
    assert FORBIDDEN["path of a machine"].search("see /ro" + "ot/notes")
    assert not FORBIDDEN["path of a machine"].search("https://example.org/ho" + "me/page")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-uv.txt"])
def test_every_requirement_is_pinned_with_a_hash(name):
    entries = re.sub(r"\\\n", " ", (ROOT / name).read_text()).splitlines()
    assert entries
    assert [entry for entry in entries if not re.match(r"[\w.\-\[\],]+==\S+.*--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_development_uses_the_same_versions_as_production():
    production, development = (
        set(re.findall(r"^([\w.\-\[\],]+==[^\s;]+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert production <= development
