"""``python docs/make_pictures.py``: the picture of the README, of a run that really goes on, by the package itself."""

from __future__ import annotations

import sysconfig
import time
from pathlib import Path

from datagraph import Flow, Supervisor, processor

FOLDER = Path(__file__).parent


@processor
def text(path: str) -> str:
    return Path(path).read_text(errors="ignore")


@processor
def words(text: str) -> int:
    time.sleep(0.005)
    return len(text.split())


def main() -> None:
    Supervisor.attach("memory://")
    paths = [str(path) for path in Path(sysconfig.get_path("stdlib")).rglob("*.py")]
    run = Flow(text, words, capacity=200).start({"path": paths})
    run.bottleneck(over=2.0)  # looks for two seconds; the picture then shows their averages
    (FOLDER / "first.svg").write_text(run._repr_mimebundle_()["image/svg+xml"], encoding="utf-8")
    run.cancel()


if __name__ == "__main__":
    main()
