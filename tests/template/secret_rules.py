"""Rules of confidentiality: no secret, prompt or answer is shown, logged or sent elsewhere."""

import json
import re
from collections.abc import Iterator

from tests.template.loader import environment
from tests.template.resolved_template import ResolvedTemplate
from tests.template.rule import broken_by

SHARED = "Globals/Function/Environment/Variables"
ASK = "Resources/AskFunction/Properties"
DYNAMIC_REFERENCE = "{{resolve:ssm:/llm-cache/upstash-token}}"
SECRET = re.compile(r"(^|_)\w*(TOKEN|SECRET|PASSWORD|KEY|CREDENTIAL|CREDENTIALS|URL)$")


@broken_by(
    (f"{SHARED}/UPSTASH_REDIS_REST_TOKEN", {"Ref": "UpstashTokenParameter"}),
    (f"{ASK}/Environment/Variables/UPSTASH_REDIS_REST_URL", "https://example.upstash.io"),
    (f"{SHARED}/LLM_CACHE_TOKEN_PARAMETER", "AX4kDd81oPq"),
)
def environment_names_secrets_and_has_none(template: ResolvedTemplate) -> Iterator[str]:
    for function, properties in template.functions.items():
        for name, value in environment(properties).items():
            if SECRET.search(name) or (name.endswith("_PARAMETER") and not value.startswith("/")):
                yield f"{function}: {name} has a secret, not the name of an SSM parameter"


@broken_by(
    ("Parameters/UpstashTokenParameter/NoEcho", True),
    ("Parameters/UpstashTokenParameter/Type", "AWS::SSM::Parameter::Value<String>"),
    ("Parameters/EncryptionKeyParameter/AllowedPattern", ".*"),
    ("Parameters/ModelId/AllowedPattern", ".*"),
)
def parameters_name_secrets_and_have_none(template: ResolvedTemplate) -> Iterator[str]:
    """A parameter with a pattern that matches anything could have a secret."""
    for name, parameter in template.source["Parameters"].items():
        if parameter["Type"] not in {"String", "Number"} or parameter.get("NoEcho"):
            yield f"{name} has a value that is hidden, or read from elsewhere"
        pattern = parameter.get("AllowedPattern", "")
        if re.fullmatch(pattern, "AX4kDd81oPq+/=") or (
            name.endswith("Parameter") and not pattern.startswith("^(/")
        ):
            yield f"{name} accepts a secret"


@broken_by(
    (f"{ASK}/Description", DYNAMIC_REFERENCE),
    ("Outputs/Token", {"Value": DYNAMIC_REFERENCE}),
)
def no_value_is_resolved_at_deployment(template: ResolvedTemplate) -> Iterator[str]:
    if "{{resolve:" in json.dumps(template.source):
        yield "CloudFormation replaces a dynamic reference by a value that the stack then shows"


LOGS_OR_SENDS_EVENTS = re.compile(
    "(LANGCHAIN|LANGSMITH)_.*|POWERTOOLS_(LOGGER_LOG_EVENT|LOG_LEVEL|DEV|DEBUG)"
    "|(AWS_LAMBDA_)?LOG_LEVEL"
)


@broken_by(
    (f"{ASK}/Environment/Variables/LANGSMITH_TRACING", "true"),
    (f"{SHARED}/POWERTOOLS_LOGGER_LOG_EVENT", "true"),
    ("Globals/Function/LoggingConfig/ApplicationLogLevel", "DEBUG"),
)
def prompts_are_not_logged_or_sent_elsewhere(template: ResolvedTemplate) -> Iterator[str]:
    for function, properties in template.functions.items():
        for name in filter(LOGS_OR_SENDS_EVENTS.fullmatch, environment(properties)):
            yield f"{function}: {name} has prompts and answers logged, or sent elsewhere"
        if properties["LoggingConfig"].get("ApplicationLogLevel") not in {"INFO", "WARN", "ERROR"}:
            yield f"{function}: clients log requests at DEBUG"
