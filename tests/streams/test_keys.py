"""Where everything of a run is kept."""

from __future__ import annotations

import pytest

from datagraph.exceptions import InvalidNameError
from datagraph.streams.keys import INDEX, Keys


def test_all_keys_of_a_run_share_one_hash_tag() -> None:
    """A cluster puts keys with the same text in the first braces on the same slot."""
    keys = Keys("r1")
    every = [keys.run, keys.log, keys.clock, keys.sessions, keys.reports, keys.stream("x{y}"), keys.record("x"),
             keys.node("a"), keys.output("a"), keys.letters("a"), keys.inbox("w")]  # fmt: skip
    assert all(key.startswith("dg:{r1}:") for key in every)
    assert len(set(every)) == len(every)
    assert not INDEX.startswith("dg:{")


def test_streams_and_nodes_of_one_name_do_not_meet() -> None:
    """Each kind of thing has its own letter."""
    keys = Keys("r")
    assert (
        len({keys.stream("n"), keys.record("n"), keys.node("n"), keys.output("n"), keys.letters("n"), keys.inbox("n")})
        == 6
    )


@pytest.mark.parametrize("run", ["", "a{b", "a}b", "a\nb", "a\0b", "\ud800", "x" * 129])
def test_an_id_that_cannot_be_a_hash_tag_is_refused(run: str) -> None:
    """An empty tag or one with braces would put a run's keys on different slots."""
    with pytest.raises(InvalidNameError, match="a run's id is 1 to 128 printable characters without braces"):
        Keys(run)


@pytest.mark.parametrize("run", ["r", "x" * 128, "größe", "a:b/c d"])
def test_other_ids_are_taken(run: str) -> None:
    """Anything that can be shown may be an id."""
    assert Keys(run).run == f"dg:{{{run}}}:run"
