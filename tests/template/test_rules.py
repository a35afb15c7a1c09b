"""The template keeps every rule, and each breakage breaks its rule."""

from typing import Any

import pytest
from tests.template import (  # noqa: F401  # each registers its rules
    access_rules,
    alarm_rules,
    build_rules,
    permission_rules,
    queue_rules,
    secret_rules,
    storage_rules,
)
from tests.template.rule import BREAKAGES, TEMPLATE, Rule, breaches, broken


@pytest.mark.parametrize("rule", BREAKAGES, ids=lambda rule: rule.__name__)
def test_template_keeps_rule(rule: Rule) -> None:
    assert breaches(rule, TEMPLATE) == set()


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        pytest.param(rule, path, value, id=f"{rule.__name__}-{path}")
        for rule, breakages in BREAKAGES.items()
        for path, value in breakages
    ],
)
def test_broken_template_breaks_rule(rule: Rule, path: str, value: Any) -> None:
    assert breaches(rule, broken(path, value)) != set()
