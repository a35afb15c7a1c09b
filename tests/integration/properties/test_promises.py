"""Whatever happens in whatever order: every promise holds after every step."""

import functools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from tests.integration.properties import policies
from tests.integration.properties.machine import Machine
from tests.integration.properties.wire import Database

from llm_cache import CachePolicy


def run(database: Database, kinds: st.SearchStrategy[CachePolicy]) -> None:
    machine = functools.partial(Machine, database, kinds)
    run_state_machine_as_test(machine, settings=settings())  # type: ignore[arg-type]


def test_no_answer_is_served_that_a_policy_rules_out(database: Database) -> None:
    run(database, policies.policies)


def test_no_answer_is_served_that_is_older_than_a_clear(database: Database) -> None:
    run(database, policies.clearing)


def test_no_answer_is_served_that_is_too_old(database: Database) -> None:
    run(database, policies.fresh)


def test_of_those_who_ask_the_same_one_asks_the_model(database: Database) -> None:
    run(database, policies.coalescing)
