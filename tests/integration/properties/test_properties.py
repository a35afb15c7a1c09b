"""Random steps of several processes with faults: every step is checked."""

import functools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from tests.integration.properties import strategies
from tests.integration.properties.database import Database
from tests.integration.properties.state_machine import StateMachine

from llm_cache import CachePolicy


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(strategies.any_policy, id="any policy"),
        pytest.param(strategies.policy_of_clears, id="clears"),
        pytest.param(strategies.policy_of_ages, id="ages"),
        pytest.param(strategies.coalescing_policy, id="single flight"),
    ],
)
def test_no_order_of_steps_and_faults_breaks_a_promise(
    database: Database, policy: st.SearchStrategy[CachePolicy]
) -> None:
    machine = functools.partial(StateMachine, database, policy)
    run_state_machine_as_test(machine, settings=settings())  # type: ignore[arg-type]
