"""One JupyterLab and one Chromium for all of these tests; every test has a notebook, and nothing is left of either."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import need

if TYPE_CHECKING:
    from tests.browser.chromium import Chromium, Notebook, Tab
    from tests.browser.jupyter import Jupyter

ROOT = Path(__file__).parents[2]
FAILED = pytest.StashKey[bool]()
NEEDED = ("anywidget", "jupyterlab", "nbformat", "notebook", "playwright", "psutil")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a browser, and come last: it draws pages as long as it is open, also under other tests."""

    def is_here(item: pytest.Item) -> bool:
        return Path(__file__).parent in item.path.parents

    for item in filter(is_here, items):
        item.add_marker("browser")
    items.sort(key=is_here)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keep whether a test failed: then its fixture keeps what the page looked like."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def jupyter() -> Iterator[Jupyter]:
    """A JupyterLab, for the whole session."""
    for name in NEEDED:
        need(importlib.util.find_spec(name), f"the package {name} is not installed: pip install -e '.[dev]'")
    from tests.browser.jupyter import Jupyter

    with Jupyter() as jupyter:
        yield jupyter


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A browser, for the whole session."""
    need(importlib.util.find_spec("playwright"), "playwright is not installed: pip install -e '.[dev]'")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    need(executable, "chromium is not installed: apt-get install chromium")
    from tests.browser.chromium import Chromium

    with Chromium(str(executable)) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: $DATAGRAPH_PICTURES, else a temporary directory."""
    place = Path(os.environ.get("DATAGRAPH_PICTURES") or tmp_path_factory.mktemp("pictures"))
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture(scope="session")
def lab(jupyter: Jupyter, chromium: Chromium) -> Iterator[Tab]:
    """JupyterLab in the browser, loaded once."""
    from tests.browser.chromium import Tab

    tab = Tab(chromium)
    tab.open(f"{jupyter.url}/lab?reset")
    tab.until("() => window.jupyterapp && window.jupyterapp.restored.then(() => true)")
    yield tab
    tab.close()


@pytest.fixture(scope="session")
def plain_tab(chromium: Chromium) -> Iterator[Tab]:
    """A tab without options, for one page after the other."""
    from tests.browser.chromium import Tab

    tab = Tab(chromium)
    yield tab
    tab.close()


@pytest.fixture
def other_tab(chromium: Chromium, plain_tab: Tab) -> Iterator[Callable[..., Tab]]:
    """Opens a tab of a browser that knows nothing of JupyterLab; its options are a context's of Playwright."""
    from tests.browser.chromium import Tab

    tabs: list[Tab] = []
    plain: list[Tab] = []

    def opens(**options: Any) -> Tab:
        if not options and not plain:
            plain_tab.clear()
            plain.append(plain_tab)
            return plain_tab
        tabs.append(Tab(chromium, **options))
        return tabs[-1]

    yield opens
    for tab in tabs:
        tab.close()


@pytest.fixture(scope="session")
def kernel_of(jupyter: Jupyter) -> Callable[[str], str]:
    """The name of a kernel with that version of ipykernel, which is installed beside all others."""
    made: dict[str, str] = {}

    def finds(version: str) -> str:
        if version not in made:
            place = jupyter.home / "ipykernel" / version
            command = ["-m", "pip", "install", "-q", "--no-deps", "--target", str(place), f"ipykernel=={version}"]
            done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=120)
            need(done.returncode == 0, f"ipykernel {version} cannot be installed: {done.stderr[-300:]}")
            made[version] = f"ipykernel-{version}"
            jupyter.add_kernel(made[version], {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"})
        return made[version]

    return finds


@pytest.fixture
def opened(
    jupyter: Jupyter, lab: Tab, pictures: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """Opens a notebook of the given cells. Nothing may be asked of another host, and nothing may go wrong in the page."""
    from tests.browser.chromium import Notebook

    open_ones: list[Notebook] = []

    def opens(*cells: str, **options: Any) -> Notebook:
        name = re.sub(r"\W+", "-", f"{request.node.name}-{len(open_ones)}")
        open_ones.append(Notebook(jupyter, lab, cells, name=name, **options))
        if len(open_ones) == 1:  # what JupyterLab says about the kernels of the test before is its own
            jupyter.wait_for_ends()
            lab.errors.clear()
        return open_ones[-1]

    yield opens
    if request.node.stash.get(FAILED, False):
        picture = pictures / f"failed-{request.node.name}.png"
        lab.picture(picture)
        print(f"what it looked like: {picture}")
    errors = list(lab.errors)
    for notebook in open_ones:
        notebook.leave()
    assert lab.strangers() == []
    assert errors == []
