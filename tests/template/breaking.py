"""A template broken in one place, to see a rule object."""

import copy
from collections.abc import Sequence
from typing import Any

from tests.template.loader import Template, load
from tests.template.rules import Rule

TEMPLATE = load()
ABSENT = object()
ASK = "Resources/AskFunction/Properties"
FLUSH = "Resources/FlushCacheFunction/Properties"
SUMMARIZE = "Resources/SummarizeFunction/Properties"
LAYER = "Resources/LlmCacheLayer"
SCHEDULE = f"{FLUSH}/Events/Scheduled/Properties"
SHARED = "Globals/Function"
SECRETS = "Resources/Secrets/Properties"
REVISION = "Resources/SettingsRevision/Properties"
MODEL_CALLS = "Resources/ModelCalls/Properties/PolicyDocument/Statement"

Breach = tuple[Rule, str, Any]
"""A rule, the place of what breaks it (its parts divided by slashes), and what to put there."""


def broken(path: str, value: Any) -> Template:
    """The template with `value` at a place; a part that is a number is the index of a list."""
    template = copy.deepcopy(TEMPLATE)
    *parents, last = path.split("/")
    place: Any = template
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    if value is ABSENT:
        del place[int(last) if last.isdigit() else last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return template


def objected(breaches: Sequence[Breach]) -> set[Rule]:
    """The rules that object to at least one breach."""
    return {rule for rule, _, _ in breaches}


def titles(breaches: Sequence[Breach]) -> list[str]:
    """What each breach is called in a test's name."""
    return [f"{rule.__name__}-{path.split('/', 1)[-1]}" for rule, path, _ in breaches]
