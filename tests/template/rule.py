"""Rules of the template, each with the changes of one value that break it."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests.template.loader import Template, load
from tests.template.resolved_template import ABSENT, ResolvedTemplate

TEMPLATE = load()


def choices(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


SCENARIOS: tuple[dict[str, str], ...] = (
    {},
    choices("SigningKeyParameter=/signing InferenceProfile=none AlarmTopicArn=arn:topic"),
    choices("""SigningKeyParameter=/signing EncryptionKeyParameter=/encryption AlarmEmail=a@b.it
    UpstashFlushTokenParameter=/flush SecretsKeyArn=arn:key CorsOrigins=https://a.it,https://b.it
    AskReservedConcurrency=5 FlushMissedHours=168 DocumentVersionDays=30 Runtime=python3.12
    Architecture=x86_64"""),
)
"""The parameters of the stacks that a rule checks."""

Rule = Callable[[ResolvedTemplate], Iterator[str]]
Breakage = tuple[str, Any]
"""A path in template.yaml, and a value (or ABSENT) that breaks the rule there."""

BREAKAGES: dict[Rule, tuple[Breakage, ...]] = {}


def broken_by(first: Breakage, *others: Breakage) -> Callable[[Rule], Rule]:
    """Register a rule, which yields a sentence for each breach, with its breakages."""

    def register(rule: Rule) -> Rule:
        BREAKAGES[rule] = (first, *others)
        return rule

    return register


def breaches(rule: Rule, template: Template) -> set[str]:
    resolved = (ResolvedTemplate(template, each) for each in SCENARIOS)
    return {breach for it in resolved for breach in rule(it)}


def broken(path: str, value: Any) -> Template:
    """Return the template with `value` at `path`: its parts are keys, and indexes of lists."""
    template = copy.deepcopy(TEMPLATE)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place: Any = template
    for part in parents:
        place = place[part]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return template
