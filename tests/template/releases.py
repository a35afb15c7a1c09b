"""What must hold for a change to reach the callers, and to go back when it fails."""

import re
from collections.abc import Iterator
from typing import Any

from tests.template.loader import (
    Template,
    environment,
    functions,
    parameters_of,
    references,
    resources,
)
from tests.template.rules import Rule

# What of a function a version keeps. (The rest is the function's own, or the alias's.)
VERSIONED = (
    "Environment",
    "Runtime",
    "Architectures",
    "SnapStart",
    "Tracing",
    "MemorySize",
    "Timeout",
)
BROUGHT_BACK_BY = [
    ("Errors", [{"Name": "FunctionName", "Value": {"Ref": "AskFunction"}}]),
    ("ModelMisconfigured", [{"Name": "service", "Value": "ask"}]),
]
MOST_CHARACTERS = 1000  # of the description of a policy, as IAM takes it
DIGITS = 12  # of a number that anybody would give


def a_new_setting_reaches_the_alias(template: Template) -> Iterator[str]:
    policies, depended_on = resources(template, "ManagedPolicy"), set[str]()
    revisions = {next(references(it.get("VersionDescription")), "") for it in _functions(template)}
    for name in revisions & set(policies):
        (statement,) = policies[name]["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] != "Deny" or name in references(
            [it.get("Policies") for it in _functions(template)]
        ):
            yield f"{name} is replaced with each setting, and a function's permissions with it"
    for function, properties in functions(template).items():
        revision = properties.get("VersionDescription")
        policy = policies.get(next(references(revision), ""), {"Properties": {}})["Properties"]
        if environment(properties).get("SETTINGS_REVISION") != revision:
            yield f"{function} is published anew where nothing of it is new, which Lambda refuses"
        depends = {name for it in VERSIONED for name in parameters_of(template, properties.get(it))}
        depended_on |= depends
        for name in depends - set(references(policy.get("Description"))):
            yield f"{function}: a new {name} is deployed and never reaches the alias"
    for policy in policies.values():
        description = policy["Properties"].get("Description", {"Fn::Sub": ""})
        described = parameters_of(template, description)
        for name in described - depended_on:
            yield f"a new {name} publishes versions in which nothing is new"
        between = re.sub(r"\$\{\w+\}", "", description["Fn::Sub"])
        told = sum(_longest(template["Parameters"][name]) for name in described)
        if len(between) + told > MOST_CHARACTERS:
            yield "the description of the settings may get too long for IAM"


def _functions(template: Template) -> list[dict[str, Any]]:
    return list(functions(template).values())


def _longest(parameter: dict[str, Any]) -> int:
    if "AllowedValues" in parameter:
        return max(len(str(value)) for value in parameter["AllowedValues"])
    length: int = parameter.get("MaxLength", MOST_CHARACTERS)
    return DIGITS if parameter["Type"] == "Number" else length


def a_rollout_goes_back_when_it_fails(template: Template) -> Iterator[str]:
    rollout, choices = template["Parameters"]["Rollout"], template["Mappings"]["Rollouts"]
    if rollout["Default"] != "AllAtOnce" or set(choices) != set(rollout["AllowedValues"]):
        yield "a plain deployment is gradual, or a way of rolling out is not known"
    for name, choice in choices.items():
        if choice != {"CodeDeploy": name != "AllAtOnce"}:
            yield f"{name} does the other thing"
    preference = functions(template)["AskFunction"].get("DeploymentPreference", {})
    alarms = preference.get("Alarms", {}).get("Fn::If", ["", []])
    named = [resources(template, "Alarm").get(name, {}) for name in references(alarms[1])]
    watched = [
        (it.get("Properties", {}).get("MetricName"), it.get("Properties", {}).get("Dimensions"))
        for it in named
    ]
    if watched != BROUGHT_BACK_BY:
        yield "ask is not brought back by what a new version breaks, or by what it does not"
    if preference.get("Type") != {"Ref": "Rollout"}:
        yield "ask is rolled out in another way than is asked for"
    if preference.get("Enabled") != {
        "Fn::FindInMap": ["Rollouts", {"Ref": "Rollout"}, "CodeDeploy"]
    }:
        yield "CodeDeploy is there whether it is asked for or not"


def snapshots_are_off_and_refused_where_there_are_none(template: Template) -> Iterator[str]:
    parameters = template["Parameters"]
    if parameters["SnapStart"]["Default"] != "None":
        yield "a snapshot is paid for unasked"
    without = {"Fn::Not": [{"Fn::Equals": [{"Ref": "Runtime"}, "python3.11"]}]}
    wanted = {"Fn::Equals": [{"Ref": "SnapStart"}, "PublishedVersions"]}
    rules = [it for it in template.get("Rules", {}).values() if it["RuleCondition"] == wanted]
    if without not in [it["Assert"] for rule in rules for it in rule["Assertions"]]:
        yield "a stack of python3.11 with SnapStart fails halfway, and not at its start"
    for function, properties in functions(template).items():
        if properties.get("SnapStart") != {"ApplyOn": {"Ref": "SnapStart"}}:
            yield f"{function} does not follow the SnapStart parameter"


def tracing_is_off_by_default_and_brings_no_library(template: Template) -> Iterator[str]:
    if template["Parameters"]["Tracing"]["Default"] != "Disabled":
        yield "traces are paid for unasked"
    for function, properties in functions(template).items():
        if properties.get("Tracing") != {"Ref": "Tracing"}:
            yield f"{function} does not follow the Tracing parameter"


def the_template_shares_the_layer_with_nobody(template: Template) -> Iterator[str]:
    for name in resources(template, "LayerVersionPermission"):
        yield f"{name} lets another account use the layer"


def the_layer_is_found_by_other_stacks(template: Template) -> Iterator[str]:
    published = [
        it["Properties"]["Name"]
        for it in resources(template, "SSM::Parameter").values()
        if it["Properties"].get("Value") == {"Ref": "LlmCacheLayer"}
        and it["Properties"]["Type"] == "String"
    ]
    if published != [{"Fn::Sub": "/${AWS::StackName}/layer-arn"}]:
        yield "the layer's ARN stands in no parameter, or two stacks write the same one"


RULES: tuple[Rule, ...] = (
    a_new_setting_reaches_the_alias,
    a_rollout_goes_back_when_it_fails,
    snapshots_are_off_and_refused_where_there_are_none,
    tracing_is_off_by_default_and_brings_no_library,
    the_template_shares_the_layer_with_nobody,
    the_layer_is_found_by_other_stacks,
)
