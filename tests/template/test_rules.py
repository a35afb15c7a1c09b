"""The template keeps every rule, and every rule objects when the template is broken."""

from typing import Any

import pytest
from tests.template import (
    exposure,
    exposure_broken,
    monitoring,
    monitoring_broken,
    queues,
    queues_broken,
    releases,
    releases_broken,
    rules,
    rules_broken,
    running,
    running_broken,
)
from tests.template.breaking import TEMPLATE, broken, objected, titles
from tests.template.rules import Rule

PARTS = (
    (rules, rules_broken),
    (exposure, exposure_broken),
    (running, running_broken),
    (monitoring, monitoring_broken),
    (releases, releases_broken),
    (queues, queues_broken),
)
RULES = [rule for holds, _ in PARTS for rule in holds.RULES]
BREACHES = [breach for _, broken_ in PARTS for breach in broken_.BREACHES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_template_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(TEMPLATE)) == []


@pytest.mark.parametrize(("rule", "path", "value"), BREACHES, ids=titles(BREACHES))
def test_rule_objects_to_a_broken_template(rule: Rule, path: str, value: Any) -> None:
    assert list(rule(broken(path, value))) != []


def test_every_rule_has_been_seen_to_object() -> None:
    assert objected(BREACHES) == set(RULES)
