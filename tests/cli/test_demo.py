"""`datagraph demo`: real files, a server of its own, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree as ET

from datagraph.cli.stdlib import flow, imported, module, package_of, source
from tests.cli.kit import cli, command, environment, here


def _servers_in(place: Path) -> list[str]:
    """Processes that were started in or for a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + str((process / "cwd").readlink()).encode()
        except OSError:
            continue
        if str(place).encode() in said:
            found.append(process.name)
    return found


def _until_nothing_runs_in(place: Path) -> None:
    """What watches a server goes a moment after it."""
    end = time.monotonic() + 10
    while running := _servers_in(place):
        assert time.monotonic() < end, running


def test_demo_tells_findings_and_leaves_a_picture_and_no_server(tmp_path: Path) -> None:
    """It reads real files, names a bottleneck, writes what it found, and cleans up."""
    home, out = tmp_path / "t", tmp_path / "out"
    home.mkdir()
    shown = cli("demo", "--files", "150", "--out", str(out), TMPDIR=str(home))
    assert shown.returncode == 0, shown.stderr
    assert "bottleneck" in shown.stdout
    assert "imported most" in shown.stdout
    assert ET.fromstring((out / "flow.svg").read_text(encoding="utf-8")).tag.endswith("svg")
    report = json.loads((out / "findings.json").read_text(encoding="utf-8"))
    read = report["edges"]["path->source.path"]["read"]
    assert read == 150
    assert sum(package["files"] for package in report["findings"]["packages"]) == read - report["skipped"]
    assert report["edges"]["module->judged.module"]["read"] == read - report["skipped"]
    assert list(home.iterdir()) == []
    _until_nothing_runs_in(home)


def test_demo_on_a_given_server_leaves_no_key(tmp_path: Path, valkey_url: str) -> None:
    """With --url it runs there, and forgets its run."""
    before = here("--url", valkey_url, "runs").stdout
    shown = here("--url", valkey_url, "demo", "--files", "20", "--out", str(tmp_path))
    assert shown.exit_code == 0, shown.stderr
    assert here("--url", valkey_url, "runs").stdout.count("stdlib") == before.count("stdlib")


def test_interrupted_demo_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle ends the run, the server and the directory."""
    home = tmp_path / "t"
    home.mkdir()
    with subprocess.Popen(
        command("demo", "--plain", "--out", str(tmp_path / "out")),
        env=environment(TMPDIR=str(home), PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "files ·" in line:
                break
        assert _servers_in(home) != []
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert said == "interrupted\n"
    assert list(home.iterdir()) == []
    _until_nothing_runs_in(home)


def test_killed_demo_leaves_a_server_that_ends_by_itself(tmp_path: Path) -> None:
    """Nobody can stop it any more, so its watchdog does, soon after its last client has gone."""
    home = tmp_path / "t"
    home.mkdir()
    started = environment(TMPDIR=str(home), PYTHONUNBUFFERED="1", DATAGRAPH_IDLE="3")
    with subprocess.Popen(
        command("demo", "--plain", "--out", str(tmp_path / "out")), env=started, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "files ·" in line:
                break
        assert _servers_in(home) != []
        demo.kill()
    _until_nothing_runs_in(home)


def test_processors_of_the_demo_work_alone() -> None:
    """Each is a plain function, and can be tried on lists."""
    (text,) = source.test(path=[__file__])
    (found,) = module.test(source=[text])
    assert ("function", "test_processors_of_the_demo_work_alone") in [tuple(item[:2]) for item in found["defined"]]
    assert "json" in imported.test(module=[found])
    assert len(flow.resolve().graph.processors()) == 9


def test_package_of_a_file_is_its_top_folder_in_site_packages() -> None:
    """Everything else is the standard library."""
    assert package_of("/v/lib/python3.11/site-packages/rich/text.py") == "rich"
    assert package_of("/v/lib/python3.11/site-packages/six.py") == "six"
    assert package_of("/usr/lib/python3.11/ast.py") == "(standard library)"
