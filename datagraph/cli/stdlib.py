"""The flow of the demo: what Python source files import and define. Written as anybody would write it.

path -> source -> module -+-> imported -> imports -----+
                          +-> defined --> definitions -+-> findings
                          +-> judged ---> packages ----+
"""

from __future__ import annotations

import ast
import sysconfig
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import datagraph as dg

Module = dict[str, Any]


@dg.processor(capacity=200)
def source(path: str) -> dict[str, str]:
    """Read a file."""
    return {"path": path, "text": Path(path).read_text(encoding="utf-8", errors="replace")}


@dg.processor(capacity=50, on_error="skip")
def module(source: dict[str, str]) -> Module:
    """Parse it, and keep what matters. A file that is no Python is skipped, and counted."""
    tree = ast.parse(source["text"])
    imported, defined = set[str](), list[tuple[str, str, int]]()
    for node in statements(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            defined.append((kind, node.name, (node.end_lineno or node.lineno) - node.lineno + 1))
    return {
        "path": source["path"],
        "lines": source["text"].count("\n"),
        "documented": ast.get_docstring(tree) is not None,
        "imported": sorted(imported),
        "defined": defined,
    }


@dg.processor
def imported(module: Module) -> Iterator[str]:
    """Every module that a file imports: one value in, many out."""
    yield from module["imported"]


@dg.processor
def defined(module: Module) -> Iterator[dict[str, Any]]:
    """Every class and function that a file defines."""
    for kind, name, lines in module["defined"]:
        yield {"kind": kind, "name": name, "lines": lines, "path": module["path"]}


@dg.processor(capacity=200)
def judged(module: Module, pause: float = 0.012) -> dict[str, Any]:
    """Slow on purpose: it sleeps, as if it asked a server about each file. `pause` (seconds) is a setting."""
    time.sleep(pause)
    package = package_of(module["path"])
    return {"package": package, "lines": module["lines"], "documented": module["documented"]}


@dg.processor
async def imports(imported: dg.IO[str]) -> AsyncIterator[list[tuple[str, int]]]:
    """Count, and tell once all is counted. It takes whole batches, for speed."""
    counts = Counter[str]()
    async for batch in imported.batches(1000):
        counts.update(batch)
    yield counts.most_common(10)


@dg.processor
async def definitions(defined: dg.IO[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """How many there are of each kind, and the longest function."""
    kinds, longest = Counter[str](), {"name": "", "lines": 0, "path": ""}
    async for item in defined:
        kinds[item["kind"]] += 1
        if item["kind"] == "function" and item["lines"] > longest["lines"]:
            longest = item
    yield {"kinds": dict(kinds), "longest": longest}


@dg.processor
async def packages(judged: dg.IO[dict[str, Any]]) -> AsyncIterator[list[dict[str, Any]]]:
    """Files, lines and documented files of the largest packages."""
    found: dict[str, dict[str, Any]] = {}
    async for item in judged:
        row = found.setdefault(item["package"], {"package": item["package"], "files": 0, "lines": 0, "documented": 0})
        row["files"] += 1
        row["lines"] += item["lines"]
        row["documented"] += item["documented"]
    yield sorted(found.values(), key=lambda row: -row["lines"])


@dg.processor
def findings(
    imports: list[tuple[str, int]], definitions: dict[str, Any], packages: list[dict[str, Any]]
) -> dict[str, Any]:
    """Put the three together: a value of each makes one."""
    return {"imports": imports, **definitions, "packages": packages}


flow = dg.Flow(
    source, module, imported, defined, judged, imports, definitions, packages, findings, name="stdlib", capacity=500
)


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Every statement in a tree; expressions, which are most of it, are passed over."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield node
            yield from statements(node)


def package_of(path: str) -> str:
    """The top package of a file."""
    parts = Path(path).parts
    for place in ("site-packages", "dist-packages"):
        if place in parts:
            return parts[len(parts) - parts[::-1].index(place)].removesuffix(".py")
    return "(standard library)"


def every_file() -> list[str]:
    """Every Python source file of this interpreter's standard library and site-packages, in order of their names."""
    places = {sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return sorted({str(path) for place in places for path in Path(place).rglob("*.py")})
