"""Rules of builds and names: a target for all packages, and room for a second stack."""

from collections.abc import Iterator

from tests.template.loader import environment, references
from tests.template.resolved_template import ABSENT, PSEUDO, ResolvedTemplate
from tests.template.rule import broken_by

LAYER = "Resources/LlmCacheLayer"
SCHEDULE = "Resources/FlushCacheFunction/Properties/Events/Scheduled/Properties"
FOREIGN_LAYER = "arn:aws:lambda:eu-west-1:111122223333:layer:other:1"


@broken_by(
    ("Globals/Function/Runtime", "python3.13"),
    ("Resources/FlushCacheFunction/Properties/Architectures", ["x86_64"]),
    ("Resources/AskFunction/Metadata/ContextPath", "layers/targets/x86_64-python3.11"),
    ("Resources/FlushCacheFunction/Metadata", ABSENT),
    (f"{LAYER}/Metadata/BuildArchitecture", ABSENT),
    (f"{LAYER}/Properties/CompatibleArchitectures", ["arm64"]),
    (f"{LAYER}/Properties/CompatibleRuntimes", ["python3.12"]),
)
def packages_are_built_for_the_chosen_target(template: ResolvedTemplate) -> Iterator[str]:
    runtime, architecture = (template.values[it] for it in ("Runtime", "Architecture"))
    context = f"layers/targets/{architecture}-{runtime}"
    makefile = {"BuildMethod": "makefile", "ContextPath": context}
    for name, function in template.functions.items():
        target = function.get("Runtime"), function.get("Architectures")
        if target != (runtime, [architecture]):
            yield f"{name} runs on another target"
        if template.resources[name].get("Metadata") != makefile:
            yield f"{name} is built for another target"
    for name, layer in template.of_type("LayerVersion").items():
        target = *layer["CompatibleRuntimes"], *layer["CompatibleArchitectures"]
        if target != (runtime, architecture):
            yield f"{name} declares another target"
        metadata = template.resources[name].get("Metadata")
        if metadata != {**makefile, "BuildArchitecture": architecture}:
            yield f"{name} is built for another target"


@broken_by(
    ("Globals/Function/Layers", ABSENT),
    ("Resources/FlushCacheFunction/Properties/Layers", [FOREIGN_LAYER]),
)
def functions_have_only_the_layer_of_the_stack(template: ResolvedTemplate) -> Iterator[str]:
    for name, function in template.functions.items():
        if function.get("Layers") != [{"Ref": "LlmCacheLayer"}]:
            yield f"{name} lacks the layer, or has code from elsewhere"


@broken_by(
    ("Resources/AskFunction/Properties/FunctionName", "ask"),
    ("Resources/Documents/Properties/BucketName", "documents"),
    ("Resources/AskErrors/Properties/AlarmName", "errors"),
    ("Resources/AskLogs/Properties/LogGroupName", "/aws/lambda/ask"),
    ("Globals/Function/Environment/Variables/LLM_CACHE_NAMESPACE", "llm-cache"),
)
def names_contain_the_name_of_the_stack(template: ResolvedTemplate) -> Iterator[str]:
    """A second stack of the account has other names, and another namespace in Redis."""
    for name, resource in template.resources.items():
        for key, value in resource.get("Properties", {}).items():
            named = key.endswith("Name") and key != "MetricName" and isinstance(value, str)
            if named and PSEUDO["AWS::StackName"] not in value:
                yield f"{name}: {key} is the same in each stack"
    for name, function in template.functions.items():
        if environment(function)["LLM_CACHE_NAMESPACE"] != PSEUDO["AWS::StackName"]:
            yield f"{name} has the cache of another stack"


@broken_by(
    (f"{SCHEDULE}/ScheduleExpression", "cron(0 3 * * ? *)"),
    (f"{SCHEDULE}/ScheduleExpressionTimezone", "UTC"),
)
def parameters_have_an_effect(template: ResolvedTemplate) -> Iterator[str]:
    source = template.source
    used = set(references([source[it] for it in ("Resources", "Globals", "Conditions")]))
    yield from (f"{name} has no effect" for name in set(source["Parameters"]) - used)
