"""The package as a whole: what is in the wheel, what an import loads, what is public, who may import whom."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "datagraph"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {
    "IPython",
    "anywidget",
    "celery",
    "dask",
    "distributed",
    "graphviz",
    "ipywidgets",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "traitlets",
    "typer",
}


def run(*command: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=os.environ | environ, capture_output=True, text=True, check=False
    )


def test_wheel_holds_every_file_that_is_read_at_run_time(tmp_path: Path) -> None:
    """The scripts of the store, the files of the view and py.typed are in the wheel, and no tests are."""
    built = run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), ".")
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {path.relative_to(ROOT).as_posix() for path in files} - held == set()
    assert "datagraph/py.typed" in held
    assert any(re.fullmatch(r"datagraph/streams/scripts/\w+\.lua", name) for name in held)
    version = importlib.import_module("datagraph").__version__
    assert {name.split("/")[0] for name in held} == {"datagraph", f"datagraph-{version}.dist-info"}


def test_import_is_light() -> None:
    """`import datagraph` loads nothing that draws, shows, tabulates or runs elsewhere."""
    shown = run("-c", "import json, sys, datagraph; print(json.dumps(sorted(sys.modules)))")
    assert shown.returncode == 0, shown.stderr
    loaded = {name.split(".")[0] for name in json.loads(shown.stdout)}
    assert "datagraph" in loaded
    assert loaded & HEAVY == set()


def test_all_is_everything_public_once() -> None:
    """`__all__` names each public object once, and nothing else at the top is public (ruff RUF022 keeps it sorted)."""
    datagraph = importlib.import_module("datagraph")
    assert len(datagraph.__all__) == len(set(datagraph.__all__))
    rooms = {path.stem for path in PACKAGE.iterdir()}
    public = {name for name in vars(datagraph) if not name.startswith("_")} - rooms - {"annotations"}
    assert public - set(datagraph.__all__) == set()
    assert [name for name in datagraph.__all__ if not hasattr(datagraph, name)] == []


def test_every_public_class_and_function_is_documented() -> None:
    """Whatever is named in `__all__` says what it is."""
    datagraph = importlib.import_module("datagraph")
    public = {name: getattr(datagraph, name) for name in datagraph.__all__}
    assert [name for name, value in public.items() if callable(value) and not value.__doc__] == []


def test_rooms_import_only_from_lower_floors() -> None:
    """The contracts in pyproject.toml hold."""
    checked = run(
        "-c", "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())", "--no-cache"
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", SOURCES, ids=[path.relative_to(PACKAGE).as_posix() for path in SOURCES])
def test_file_and_its_functions_are_short(path: Path) -> None:
    """A file has at most 400 lines, a function at most 60."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    functions = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    assert [n.name for n in functions if (n.end_lineno or n.lineno) - n.lineno + 1 > 60] == []


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", text)[0].replace("_", "-").lower() for text in requirements}


def test_every_imported_package_is_declared() -> None:
    """What datagraph imports is a dependency of its own, or in an extra; it does not come by luck with another."""
    extras = PROJECT["optional-dependencies"]
    known = declared(PROJECT["dependencies"]).union(*(declared(extras[name]) for name in extras if name != "dev"))
    known |= {"numpy", "ipython"}  # they come with pandas and with ipywidgets, and are used only on their objects
    standard = {*sys.stdlib_module_names, "annotationlib"}  # in the standard library from 3.14
    outside = {name for path in SOURCES for name in imported(path)} - standard - {"datagraph"}
    owners = packages_distributions()
    undeclared = {name for name in outside if not declared(owners.get(name, [name])) & known}
    assert undeclared == set()


def test_readme_shows_the_command_that_ci_runs() -> None:
    """.ci/run takes its command from the README, word for word."""
    assert 'pip install -e ".[dev]" && pytest' in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "mark, ci, code",
    [
        ("skip", "", 0),
        ("skip", "true", 1),
        ("skipif(True, reason='no')", "true", 1),
        ("may_skip('old Python')", "true", 0),
    ],
)
def test_skip_fails_in_ci_unless_it_may(tmp_path: Path, mark: str, ci: str, code: int) -> None:
    """With CI=true a skipped test fails, whatever skipped it, but for one that is marked so."""
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = may_skip(reason): x\n", encoding="utf-8")
    body = "    pytest.skip('not here')\n" if "may" in mark else "    pass\n"
    test = f"import pytest\n\n@pytest.mark.{mark}\ndef test_it():\n{body}"
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    assert run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path, CI=ci).returncode == code
