"""Every Python block of the README runs, in order and as one program, and prints what stands beneath it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?P<not_run><!-- not run: [^>]+ -->\n)?```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<output>.*?)```\n)?",
    re.DOTALL,
)
BLOCKS = list(BLOCK.finditer(README))
URL = "redis://localhost:6379/0"
MARK = "\x01"


def program(url: str) -> str:
    """The blocks that run, each followed by a mark."""
    parts = [match["code"].replace(URL, url) for match in BLOCKS if not match["not_run"]]
    return f"\nprint({MARK!r})\n".join([*parts, ""])


@pytest.mark.parametrize("store", ["valkey", "embedded"])
def test_python_of_the_readme_runs_and_prints_what_it_says(tmp_path: Path, valkey_url: str, store: str) -> None:
    """On a server of one's own and on the embedded one, every block runs, and its output is what the README shows."""
    script = tmp_path / "readme.py"
    text = program(valkey_url)
    if store == "embedded":
        text = re.sub(r"^(?:dg\.)?Supervisor\.attach\(.*$", "", text, flags=re.MULTILINE)
    script.write_text(text, encoding="utf-8")
    environ = {"DATAGRAPH_HOME": str(tmp_path / "home"), "DATAGRAPH_IDLE": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.split(f"{MARK}\n")
    said = [match["output"] for match in BLOCKS if not match["not_run"]]
    assert [given for given, wanted in zip(shown, said, strict=False) if wanted is not None and given != wanted] == []
    assert "is the bottleneck" in done.stdout


def test_what_is_not_run_says_why() -> None:
    """At most one block is left out, and the README's source says for what reason."""
    left_out = [match["not_run"] for match in BLOCKS if match["not_run"]]
    assert len(BLOCKS) > 10
    assert len(left_out) == 1


def test_links_of_the_documents_lead_somewhere() -> None:
    """Every file that the README or ARCHITECTURE.md points to is there."""
    for document in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
        assert [link for link in links if not (ROOT / link).exists()] == [], document


def test_files_that_architecture_names_exist() -> None:
    """ARCHITECTURE.md names files of the package; it stays true when they move."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|lua))", text))
    assert len(named) > 20
    assert [name for name in named if not any((ROOT / at / name).exists() for at in ("", "datagraph"))] == []


def test_place_of_the_benchmarks_is_marked() -> None:
    """The table stands between its two marks, beside the command that makes it."""
    assert README.index("<!-- benchmarks -->") < README.index("<!-- /benchmarks -->")
    assert "python -m benchmarks" in README


def test_architecture_is_short() -> None:
    """It is read in one sitting."""
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 250
