"""A thousand changes of one run, at random, under load."""

from __future__ import annotations

import random

import pytest

from datagraph.flow.supervisor import Supervisor
from tests.flow.test_changing_random import shaken


@pytest.mark.faults
def test_a_thousand_random_changes_in_a_row(supervisor: Supervisor) -> None:
    """Every edge is exact, as after the 250 of the plain run."""
    shaken(random.randrange(10**6), 1000)
