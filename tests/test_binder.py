"""What mybinder.org reads: `binder/`, in the words of repo2docker."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"


def test_binder_installs_this_repository_with_extras_that_it_has() -> None:
    """A requirement that begins with a dot is the repository itself, whose Python is the oldest that we support."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (own,) = [line for line in lines if line.startswith(".")]
    extras = Requirement(f"datagraph{own[1:]}").extras
    assert "lab" in extras
    assert extras <= project["optional-dependencies"].keys()
    runtime = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip()
    assert runtime.removeprefix("python-") == project["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_can_be_run(name: str) -> None:
    """repo2docker runs them by themselves."""
    assert os.access(BINDER / name, os.X_OK)
    assert (BINDER / name).read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")


def test_the_store_keeps_within_what_binder_gives() -> None:
    """The embedded server takes a quarter of the 1 GB, not half of a machine that is shared with others."""
    done = subprocess.run(
        [BINDER / "start", "printenv", "DATAGRAPH_MAXMEMORY"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "256mb\n"
