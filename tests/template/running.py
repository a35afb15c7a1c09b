"""What must hold so that each function runs as it was built, and two stacks in one account."""

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.proof.transformed import holds
from tests.template.loader import (
    ROOT,
    Template,
    environment,
    functions,
    references,
    resources,
)
from tests.template.rules import Rule

STACK = {"Ref": "AWS::StackName"}
LAYER = {"Ref": "LlmCacheLayer"}
# Lambda's defaults, three seconds and 128 MB, are too little to import a client in.
LEAST_SECONDS, MOST_SECONDS = 10, 900
LEAST_MEMORY = 256
OFF = (
    "StaleIfError",
    "AlarmEmail",
    "AlarmTopicArn",
    "UpstashFlushTokenParameter",
    "SecretsKeyArn",
    "PathPrefix",
    "CorsOrigins",
    "DocumentVersionDays",
)
DAILY = re.compile(r"cron\(\d+ \d+ \* \* \? \*\)")


def every_function_has_the_layer_and_the_alias(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        if properties.get("Layers") != [LAYER]:
            yield f"{function} has not this stack's layer, or another besides"
        if properties.get("AutoPublishAlias") != "live":
            yield f"{function} is called by an alias that is not its own"


def every_function_has_time_and_memory(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        if not LEAST_SECONDS <= properties.get("Timeout", 3) <= MOST_SECONDS:
            yield f"{function} has too little time, or more than Lambda gives"
        if properties.get("MemorySize", 128) < LEAST_MEMORY:
            yield f"{function} has too little memory to start in"
        if "VpcConfig" in properties:
            yield f"{function} reaches neither Upstash nor SSM from a network of its own"
        if {"ProvisionedConcurrencyConfig", "EphemeralStorage"} & set(properties):
            yield f"{function} has, and pays for, more than it uses"


def what_is_built_and_called_is_there(template: Template) -> Iterator[str]:
    packages = resources(template, "Serverless::Function") | resources(template, "LayerVersion")
    for name, resource in packages.items():
        properties = resource["Properties"]
        where = properties.get("CodeUri") or properties.get("ContentUri") or "nowhere"
        targets = _targets(ROOT / str(where) / "Makefile")
        if not any(fnmatch.fnmatch(f"build-{name}", target) for target in targets):
            yield f"{name} is built by nothing in {where}"
        if resource.get("Metadata", {}).get("SkipBuild") or "InlineCode" in properties:
            yield f"{name} is not built"
        if properties.get("PackageType", "Zip") != "Zip":
            yield f"{name} is an image, to which no layer belongs"
        module, _, called = str(properties.get("Handler", "")).partition(".")
        source = ROOT / str(where) / f"{module}.py"
        text = source.read_text() if source.is_file() else ""
        if "Handler" in properties and not re.search(rf"^(def )?{called}\b", text, re.MULTILINE):
            yield f"{name} is called by a name that is not there"


def _targets(makefile: Path) -> list[str]:
    """What a Makefile builds, as patterns."""
    text = makefile.read_text() if makefile.is_file() else ""
    return [name.replace("%", "*") for name in re.findall(r"^(build-\S+):", text, re.MULTILINE)]


def nothing_has_a_name_that_a_second_stack_would_have_too(template: Template) -> Iterator[str]:
    for resource, it in template["Resources"].items():
        for key, value in it.get("Properties", {}).items():
            another_s = (it["Type"], key) == ("AWS::Lambda::EventSourceMapping", "FunctionName")
            named = key.endswith("Name") and key != "MetricName" and not another_s
            if named and "AWS::StackName" not in references(value):
                yield f"{resource} has a name of its own"
    for output, it in template["Outputs"].items():
        if "Export" in it:
            yield f"{output} is exported under a name that a second stack would have too"
    groups = [str(it["Properties"]) for it in resources(template, "LogGroup").values()]
    if len(set(groups)) < len(groups):
        yield "two functions write one log group"


def every_function_is_of_one_cache(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        if environment(properties).get("LLM_CACHE_NAMESPACE") != STACK:
            yield f"{function} has another cache than the rest, or another stack's"


def defaults_are_what_their_parameters_accept(template: Template) -> Iterator[str]:
    parameters = template["Parameters"]
    for name, it in parameters.items():
        default = str(it.get("Default", ""))
        if not re.fullmatch(it.get("AllowedPattern", ".*"), default):
            yield f"{name} does not accept its own default"
        if default not in map(str, it.get("AllowedValues", [default])):
            yield f"{name} does not accept its own default"
    least, usual, most = (
        int(parameters[f"CacheTtl{which}"]["Default"]) for which in ("Floor", "", "Ceiling")
    )
    if not least <= usual <= most:
        yield "the TTL by default is outside of its bounds"
    for name in OFF:
        if parameters[name]["Default"] not in ("", 0):
            yield f"{name} is given unasked"
    if parameters["Monitoring"]["Default"] != "on":
        yield "nobody is told of what goes wrong, unasked"
    if not DAILY.fullmatch(parameters["FlushSchedule"]["Default"]):
        yield "the cache is cleared more or less often than once a day, unasked"


# What a variable says is what the parameter of its name does.
VARIABLES = {
    "LLM_CACHE_TTL": "CacheTtl",
    "LLM_CACHE_TTL_FLOOR": "CacheTtlFloor",
    "LLM_CACHE_TTL_CEILING": "CacheTtlCeiling",
    "LLM_CACHE_INPUT_PRICE": "InputPrice",
    "LLM_CACHE_OUTPUT_PRICE": "OutputPrice",
    "MODEL_MAX_TOKENS": "MaxTokens",
    "STALE_IF_ERROR": "StaleIfError",
    "SUMMARY_TTL_IMMUTABLE": "SummaryTtl",
    "PATH_PREFIX": "PathPrefix",
    "CORS_ORIGINS": "CorsOrigins",
}
# A summary may live longer than an answer: its own parameter says how long.
OF_ONE = {("SummarizeFunction", "LLM_CACHE_TTL_CEILING"): "SummaryTtl"}


def a_variable_says_what_its_parameter_does(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        variables = environment(properties)
        for name in VARIABLES.keys() & variables.keys():
            parameter = OF_ONE.get((function, name), VARIABLES[name])
            if variables[name] != {"Ref": parameter}:
                yield f"{function}: {name} is not {parameter}"


# Whether a parameter is given, and that parameter: it stands where it is, and nowhere else.
GIVEN = {
    "HasFlushToken": "UpstashFlushTokenParameter",
    "Signs": "SigningKeyParameter",
    "Encrypts": "EncryptionKeyParameter",
    "ReservesConcurrency": "AskReservedConcurrency",
    "HasSecretsKey": "SecretsKeyArn",
    "ServesBrowsers": "CorsOrigins",
    "ExpiresVersions": "DocumentVersionDays",
}


def a_choice_is_of_what_its_condition_is_about(template: Template) -> Iterator[str]:
    for condition, then, otherwise in _choices([template["Globals"], template["Resources"]]):
        parameter = GIVEN.get(condition)
        if parameter and (parameter not in references(then) or parameter in references(otherwise)):
            yield f"{parameter} is not what is chosen by {condition}"
    chosen = environment(functions(template)["AskFunction"]).get("MODEL_ID", {})
    profile = [then for condition, then, _ in _choices(chosen) if condition == "UsesProfile"]
    if [set(references(then)) for then in profile] != [{"InferenceProfile", "ModelId"}]:
        yield "the model is not called by the profile that is given"


def _choices(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every condition by which something is chosen, what if it holds, and what if not."""
    if isinstance(value, list):
        for item in value:
            yield from _choices(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == "Fn::If":
                yield inner[0], inner[1], inner[2]
            yield from _choices(inner)


# What an operator says, and the condition that this, and nothing else, has hold, or not.
SAID: list[tuple[dict[str, str], str, bool]] = [
    *(
        ({parameter: value}, condition, bool(value))
        for condition, parameter, given in (
            ("HasFlushToken", "UpstashFlushTokenParameter", "/flush"),
            ("Signs", "SigningKeyParameter", "/key"),
            ("Encrypts", "EncryptionKeyParameter", "/key"),
            ("ReservesConcurrency", "AskReservedConcurrency", "9"),
            ("HasSecretsKey", "SecretsKeyArn", "arn:it"),
            ("ServesBrowsers", "CorsOrigins", "https://example.com"),
        )
        for value in ("", given)
    ),
    ({"DocumentVersionDays": "0"}, "ExpiresVersions", False),
    ({"DocumentVersionDays": "30"}, "ExpiresVersions", True),
    ({"InferenceProfile": "none"}, "UsesProfile", False),
    ({"InferenceProfile": "eu"}, "UsesProfile", True),
    *(
        ({"Monitoring": said}, condition, said == "on")
        for condition in ("Monitored", "HasOwnTopic", "WatchesHitRate", "WatchesSchedule")
        for said in ("on", "off")
    ),
    ({"AlarmTopicArn": "arn:it"}, "HasOwnTopic", False),
    ({"AlarmTopicArn": "arn:it"}, "NoTopicGiven", False),
    ({"AlarmEmail": "a@example.com"}, "SendsEmail", True),
    ({"AlarmEmail": ""}, "SendsEmail", False),
    ({"HitRateAlarm": "0"}, "WatchesHitRate", False),
    ({"FlushState": "DISABLED"}, "WatchesSchedule", False),
    ({}, "WatchesForgery", False),
    ({"SigningKeyParameter": "/key"}, "WatchesForgery", True),
    ({"EncryptionKeyParameter": "/key"}, "WatchesForgery", True),
    ({"EncryptionKeyParameter": "/key", "Monitoring": "off"}, "WatchesForgery", False),
]


def conditions_hold_when_their_parameters_say_so(template: Template) -> Iterator[str]:
    defaults = {name: str(it.get("Default", "")) for name, it in template["Parameters"].items()}
    for said, condition, expected in SAID:
        if holds(condition, template["Conditions"], {**defaults, **said}) is not expected:
            yield f"{condition} is {not expected} with {said}"


RELIED_ON: dict[str, Any] = {
    "AskUrl": {"Fn::GetAtt": ["AskFunctionUrl", "FunctionUrl"]},
    "AskFunctionName": {"Ref": "AskFunction"},
    "FlushFunctionName": {"Ref": "FlushCacheFunction"},
    "CacheNamespace": STACK,
    "LayerArn": LAYER,
    "LayerArnParameter": {"Ref": "LayerArnParameter"},
    "SummarizeFunctionName": {"Ref": "SummarizeFunction"},
    "DocumentsBucket": {"Ref": "Documents"},
    "DocumentMessagesUrl": {"Ref": "DocumentMessages"},
    "DocumentFailuresUrl": {"Ref": "DocumentFailures"},
    "AlarmTopic": {"Ref": "Alarms"},
}


def outputs_are_what_others_take_them_for(template: Template) -> Iterator[str]:
    for output, value in RELIED_ON.items():
        if template["Outputs"].get(output, {}).get("Value") != value:
            yield f"{output} is something else"


# What there is whatever the parameters say, and what goes with the stack.
ALWAYS_THERE = ("Serverless::Function", "Queue", "LogGroup", "LayerVersion", "ManagedPolicy")
GOES = ("Queue", "LogGroup")


def what_all_depends_on_is_there_and_goes_with_the_stack(template: Template) -> Iterator[str]:
    for kind in ALWAYS_THERE:
        for name, resource in resources(template, kind).items():
            if "Condition" in resource:
                yield f"{name} is not always there"
    for kind in GOES:
        for name, resource in resources(template, kind).items():
            if resource.get("DeletionPolicy", "Delete") != "Delete":
                yield f"{name} is left behind"


def it_is_read_as_sam(template: Template) -> Iterator[str]:
    if template.get("Transform") != "AWS::Serverless-2016-10-31":
        yield "CloudFormation does not know the types of SAM without its transform"


RULES: tuple[Rule, ...] = (
    every_function_has_the_layer_and_the_alias,
    every_function_has_time_and_memory,
    what_is_built_and_called_is_there,
    nothing_has_a_name_that_a_second_stack_would_have_too,
    every_function_is_of_one_cache,
    defaults_are_what_their_parameters_accept,
    a_variable_says_what_its_parameter_does,
    a_choice_is_of_what_its_condition_is_about,
    conditions_hold_when_their_parameters_say_so,
    outputs_are_what_others_take_them_for,
    what_all_depends_on_is_there_and_goes_with_the_stack,
    it_is_read_as_sam,
)
