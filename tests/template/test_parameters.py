"""Each parameter has the effect that its name says, and no value breaks a deployment."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from layers.package import wheels
from tests.e2e.proof.transformed import holds
from tests.template.loader import ROOT, Template, environment
from tests.template.resolved_template import ResolvedTemplate
from tests.template.rule import SCENARIOS, TEMPLATE, broken

from upstash_endpoint.children import PartFailed

PARAMETERS = TEMPLATE["Parameters"]
ASK, FLUSH = "AskFunction", "FlushCacheFunction"
MODEL = PARAMETERS["ModelId"]["Default"]
TOKEN = PARAMETERS["UpstashTokenParameter"]["Default"]


@pytest.mark.parametrize(
    ("function", "variable", "choices", "expected"),
    [
        (ASK, "MODEL_ID", {}, f"global.{MODEL}"),
        (ASK, "MODEL_ID", {"InferenceProfile": "none"}, MODEL),
        (ASK, "MODEL_ID", {"InferenceProfile": "eu"}, f"eu.{MODEL}"),
        (FLUSH, "LLM_CACHE_TOKEN_PARAMETER", {}, TOKEN),
        (FLUSH, "LLM_CACHE_TOKEN_PARAMETER", {"UpstashFlushTokenParameter": "/x"}, "/x"),
        (ASK, "LLM_CACHE_TOKEN_PARAMETER", {"UpstashFlushTokenParameter": "/x"}, TOKEN),
        (ASK, "LLM_CACHE_SIGNING_KEY_PARAMETER", {}, None),
        (ASK, "LLM_CACHE_SIGNING_KEY_PARAMETER", {"SigningKeyParameter": "/x"}, "/x"),
        (ASK, "LLM_CACHE_ENCRYPTION_KEY_PARAMETER", {}, None),
        (ASK, "LLM_CACHE_ENCRYPTION_KEY_PARAMETER", {"EncryptionKeyParameter": "/x"}, "/x"),
    ],
)
def test_variable_depends_on_parameter(
    function: str, variable: str, choices: dict[str, str], expected: str | None
) -> None:
    resolved = ResolvedTemplate(TEMPLATE, choices)
    assert environment(resolved.functions[function]).get(variable) == expected


EMAIL, TOPIC = {"AlarmEmail": "a@example.com"}, {"AlarmTopicArn": "arn:topic"}


@pytest.mark.parametrize(
    ("resource", "choices", "expected"),
    [
        ("HitRate", {"HitRateAlarm": "0"}, False),
        ("FlushMissed", {"FlushState": "DISABLED"}, False),
        ("FlushMissed", {"FlushMissedHours": "0"}, False),
        ("Forgery", {}, False),
        ("Forgery", {"SigningKeyParameter": "/key"}, True),
        ("Forgery", {"EncryptionKeyParameter": "/key"}, True),
        ("Alarms", TOPIC, False),
        ("AlarmsByEmail", {}, False),
        ("AlarmsByEmail", EMAIL, True),
        ("AlarmsByEmail", EMAIL | TOPIC, False),
    ],
)
def test_resource_depends_on_parameters(
    resource: str, choices: dict[str, str], expected: bool
) -> None:
    assert (resource in ResolvedTemplate(TEMPLATE, choices).resources) is expected


def test_unknown_function_in_a_condition_raises() -> None:
    conditions = {"Unknown": {"Fn::Not": [{"Fn::FindInMap": ["a", "b", "c"]}]}}
    with pytest.raises(PartFailed, match="condition Unknown"):
        holds("Unknown", conditions, {})


@pytest.mark.parametrize("choices", SCENARIOS)
def test_monitoring_off_creates_nothing(choices: dict[str, str]) -> None:
    created = ResolvedTemplate(TEMPLATE, choices | {"Monitoring": "off"}).resources.values()
    assert [it for it in created if it["Type"].split("::")[1] in {"CloudWatch", "SNS"}] == []


# A version of a function has a copy of these properties.
VERSIONED = ("Environment", "Runtime", "Architectures", "SnapStart", "Tracing", "MemorySize")
REVISION = {"Ref": "SettingsRevision"}
MOST_CHARACTERS = 1000  # of the description of an IAM policy


def unpublished(template: Template) -> Iterator[str]:
    """Yield each setting whose change publishes no version, or publishes an equal one."""
    before = ResolvedTemplate(template, {})
    for name, parameter in template["Parameters"].items():
        values = (str(it) for it in parameter.get("AllowedValues", ["7", "8"]))
        changed = next(it for it in values if it != before.values[name])
        after = ResolvedTemplate(template, {name: changed})
        if (versioned(before) != versioned(after)) != (description(before) != description(after)):
            yield name


def versioned(template: ResolvedTemplate) -> Any:
    return [[it.get(name) for name in VERSIONED] for it in template.functions.values()]


def description(template: ResolvedTemplate) -> str:
    return str(template.resources["SettingsRevision"]["Properties"]["Description"])


def test_setting_that_functions_use_publishes_versions() -> None:
    assert list(unpublished(TEMPLATE)) == []
    for function in ResolvedTemplate(TEMPLATE, {}).functions.values():
        assert function["VersionDescription"] == REVISION
        assert environment(function)["SETTINGS_REVISION"] == REVISION


@pytest.mark.parametrize(("variable", "unused"), [("NEW", []), ("PATH_PREFIX", ["PathPrefix"])])
def test_setting_that_publishes_no_version_is_found(variable: str, unused: list[str]) -> None:
    path = f"Resources/{ASK}/Properties/Environment/Variables/{variable}"
    found = list(unpublished(broken(path, {"Ref": "LogRetentionDays"})))
    assert found == [*unused, "LogRetentionDays"]


def longest(parameter: dict[str, Any]) -> str:
    if parameter["Type"] == "Number":
        return "9" * 12
    text = "x" * parameter.get("MaxLength", MOST_CHARACTERS)
    return str(max(parameter.get("AllowedValues", [text]), key=len))


def test_longest_settings_fit_into_the_description_of_a_policy() -> None:
    source = str(TEMPLATE["Resources"]["SettingsRevision"]["Properties"]["Description"])
    choices = {name: longest(it) for name, it in PARAMETERS.items() if f"${{{name}}}" in source}
    assert len(choices) > 20
    assert len(description(ResolvedTemplate(TEMPLATE, choices))) <= MOST_CHARACTERS


@pytest.mark.parametrize("runtime", PARAMETERS["Runtime"]["AllowedValues"])
def test_snapstart_is_refused_for_python_3_11_only(runtime: str) -> None:
    rule = TEMPLATE["Rules"]["SnapStartNeedsPython312"]
    conditions = {"applies": rule["RuleCondition"], "passes": rule["Assertions"][0]["Assert"]}
    values = {"Runtime": runtime, "SnapStart": "PublishedVersions"}
    assert holds("applies", conditions, values)
    assert holds("passes", conditions, values) is (runtime != "python3.11")
    assert not holds("applies", conditions, values | {"SnapStart": "None"})


def test_each_target_has_a_makefile_and_a_builder() -> None:
    names = ("Architecture", "Runtime")
    architectures, runtimes = (PARAMETERS[name]["AllowedValues"] for name in names)
    assert list(wheels.MACHINES) == architectures
    assert [f"python{version}" for version in wheels.GLIBC] == runtimes
    targets = {(a, r.removeprefix("python")) for a in architectures for r in runtimes}
    makefiles = list((ROOT / "layers/targets").glob("*/Makefile"))
    assert {it.parent.name for it in makefiles} == {f"{a}-python{r}" for a, r in targets}
    assigned = [re.findall(r":= *(.+)", it.read_text()) for it in makefiles]
    assert {(values[0], values[1]) for values in assigned} == targets
