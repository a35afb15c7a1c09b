"""The template keeps every rule, and every rule objects when the template is broken."""

from typing import Any

import pytest
from tests.template import (
    monitoring,
    monitoring_broken,
    releases,
    releases_broken,
    rules,
    rules_broken,
)
from tests.template.breaking import TEMPLATE, broken, objected, titles
from tests.template.rules import Rule

RULES = [*rules.RULES, *monitoring.RULES, *releases.RULES]
BREACHES = [*rules_broken.BREACHES, *monitoring_broken.BREACHES, *releases_broken.BREACHES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_template_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(TEMPLATE)) == []


@pytest.mark.parametrize(("rule", "path", "value"), BREACHES, ids=titles(BREACHES))
def test_rule_objects_to_a_broken_template(rule: Rule, path: str, value: Any) -> None:
    assert list(rule(broken(path, value))) != []


def test_every_rule_has_been_seen_to_object() -> None:
    assert objected(BREACHES) == set(RULES)
