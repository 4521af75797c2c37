"""Dead letters: values that a node gave up, and how they come back to it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import datagraph as dg
from datagraph import OPEN, Flow, Supervisor
from tests.flow.processes import script

pytestmark = pytest.mark.usefixtures("supervisor")


class Mended:
    """Whether the function has been mended by now."""

    yes = False


@pytest.fixture
def flow() -> Flow:
    """`half` gives up odd values until it is mended; `all_of` reads the same stream and never fails."""
    Mended.yes = False

    @dg.processor(on_error="dead_letter", retries=1)
    def half(n: int) -> int:
        if n % 2 and not Mended.yes:
            raise ValueError(f"{n} is odd")
        return n // 2

    @dg.processor
    async def all_of(n: int) -> int:
        return n

    @dg.processor
    async def after(half: int) -> int:
        return half + 100

    return Flow(half, all_of, after)


def test_letters_say_what_happened(flow: Flow) -> None:
    """Value, port, position, error, traceback, attempts and the version of the code; as a table too."""
    run = flow.start({"n": range(6)}).join()
    letters = run.dead_letters("half")
    assert [(letter.value, letter.port, letter.position, letter.attempts) for letter in letters] == [
        (1, "n", 1, 2),
        (3, "n", 3, 2),
        (5, "n", 5, 2),
    ]
    assert letters[0].error == "ValueError: 1 is odd"
    assert 'raise ValueError(f"{n} is odd")' in letters[0].traceback
    assert letters[0].version
    frame = letters.to_pandas()
    assert frame["value"].tolist() == [1, 3, 5]
    assert {"position", "error", "attempts", "traceback"} <= set(frame.columns)
    state = run.snapshot().nodes["half"]
    assert (state.dead_letters, state.errors, state.retries) == (3, 3, 3)
    assert (run.status, run["half"].to_list(), run["after"].to_list()) == ("completed", [0, 1, 2], [100, 101, 102])
    assert list(run.dead_letters("after")) == []
    assert repr(letters) == "DeadLetters('half', 3)"
    with pytest.raises(dg.UnknownIOError, match="no node 'quarter'"):
        run.dead_letters("quarter")


def test_resending_reopens_an_ended_run_downstream_too(flow: Flow) -> None:
    """What comes back passes the node and all after it; who reads the same stream beside it sees nothing again."""
    run = flow.start({"n": range(6)}).join()
    Mended.yes = True
    assert run.dead_letters("half").resend() == 3
    run.join()
    assert run["half"].to_list() == [0, 1, 2, 0, 1, 2]
    assert run["after"].to_list() == [100, 101, 102, 100, 101, 102]
    assert run["all_of"].to_list() == list(range(6))
    assert len(run.dead_letters("half")) == 0
    assert run.status == "completed"


def test_some_are_sent_again(flow: Flow) -> None:
    """By their ids; the others stay."""
    run = flow.start({"n": range(6)}).join()
    letters = run.dead_letters("half")
    Mended.yes = True
    assert letters.resend([letters[1].id]) == 1
    run.join()
    assert run["half"].to_list() == [0, 1, 2, 1]
    assert [letter.value for letter in run.dead_letters("half")] == [1, 5]
    assert letters.resend(["no such id"]) == 0


def test_what_fails_again_is_a_letter_again(flow: Flow) -> None:
    """Nothing is lost by sending too early."""
    run = flow.start({"n": range(4)}).join()
    for _ in range(2):
        assert run.dead_letters("half").resend() == 2
        run.join()
    assert [letter.value for letter in run.dead_letters("half")] == [1, 3]
    assert run["half"].to_list() == [0, 1]


def test_resending_while_the_run_goes_on(flow: Flow) -> None:
    """The node takes them between its other values."""
    run = flow.start({"n": OPEN})
    run["n"].send_many([0, 1, 2])
    values = iter(run["half"])
    assert [next(values), next(values)] == [0, 1]
    Mended.yes = True
    while not (letters := run.dead_letters("half")):
        pass
    assert letters.resend() == 1
    assert next(values) == 0
    run["n"].send(8)
    assert next(values) == 4
    run.stop()


def test_letters_of_a_dead_process_are_sent_again_after_recovering(tmp_path: Path, valkey_url: str) -> None:
    """A completed run with letters may be recovered for their sake; without functions the error says so."""
    code = """
    attach()
    @dg.processor(on_error="dead_letter")
    def picky(n: int) -> int:
        raise ValueError("no")
    print(Flow(picky).start({"n": [1, 2]}).join().id, flush=True)
    """
    with script(tmp_path, code, valkey_url, "asyncio") as process:
        name = process.line()
        process.end()
    Supervisor.attach(valkey_url)

    @dg.processor(on_error="dead_letter")
    def picky(n: int) -> int:
        return n

    run = dg.attach_run(name)
    with pytest.raises(dg.UnregisteredProcessorError, match="recover"):
        run.dead_letters("picky").resend()
    run = dg.recover(name, Flow(picky))
    assert run.dead_letters("picky").resend() == 2
    run.join()
    assert run["picky"].to_list() == [1, 2]
    Supervisor.detach()
