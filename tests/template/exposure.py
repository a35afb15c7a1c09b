"""What must hold of the template so that nothing is told, and nobody let in, who need not be."""

import re
from collections.abc import Iterator
from typing import Any

from tests.template.loader import Template, environment, functions, leaves, references, resources
from tests.template.rules import Rule, actions

CALLED_BY_URL = {"AskFunction"}
EVENTS = {"ScheduleV2", "SQS"}  # of AWS's own making: nobody outside sends them
QUIET = {"INFO", "WARN", "ERROR", "FATAL"}  # at DEBUG, clients log what they send
# What would log each event, prompts and all, or send prompts and answers to somebody else.
TELLTALE = re.compile(
    "(LANGCHAIN|LANGSMITH)_.*|POWERTOOLS_(LOGGER_LOG_EVENT|LOG_LEVEL|DEV|DEBUG)"
    "|(AWS_LAMBDA_)?LOG_LEVEL"
)
PLAIN = re.compile(r"[a-z][a-z-]*|[0-9.]+")
DEFAULT_NAME = re.compile(r"(/[\w.-]+)*")


def nothing_is_resolved_into_the_template(template: Template) -> Iterator[str]:
    for part in ("Resources", "Outputs", "Globals", "Parameters"):
        for leaf in leaves(template[part]):
            if "{{resolve:" in str(leaf):
                yield f"{part} hold {leaf}: whoever reads the stack reads its value"
    for name, parameter in template["Parameters"].items():
        if parameter["Type"] not in {"String", "Number"}:
            yield f"{name} is the value, and not the name, of what it points at"


def a_parameter_names_a_secret_and_never_is_one(template: Template) -> Iterator[str]:
    for name, parameter in template["Parameters"].items():
        if not name.endswith("Parameter"):
            continue
        if not DEFAULT_NAME.fullmatch(str(parameter.get("Default", ""))):
            yield f"{name} has a default that is no name"
        if not str(parameter.get("AllowedPattern", "")).startswith("^(/"):
            yield f"{name} takes what is no name"


def what_stands_in_an_environment_by_itself_is_plain(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        for name, value in environment(properties).items():
            if not isinstance(value, dict) and not PLAIN.fullmatch(str(value)):
                yield f"{function}: {name} is an address or a secret, or should be a parameter"


def no_prompt_is_logged_or_sent_elsewhere(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        for name in environment(properties):
            if TELLTALE.fullmatch(name):
                yield f"{function}: {name} has prompts or answers logged, or sent elsewhere"
        if properties.get("LoggingConfig", {}).get("ApplicationLogLevel") not in QUIET:
            yield f"{function} logs what its clients say at DEBUG"


def a_function_is_called_in_the_ways_that_are_meant(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        url = properties.get("FunctionUrlConfig")
        if (url is not None) != (function in CALLED_BY_URL):
            yield f"{function} is to be called by a URL, and has none, or the other way round"
        for event, it in properties.get("Events", {}).items():
            if it["Type"] not in EVENTS:
                yield f"{function}: {event} is a door that no rule looks at"
        if url is not None and not _serves_the_pages_that_are_told(url.get("Cors")):
            yield f"{function} lets other pages of the web read its answers, or none sign a request"


SIGNED = {"authorization", "content-type", "x-amz-content-sha256", "x-amz-date"}
SIGNED |= {"x-amz-security-token"}


def _serves_the_pages_that_are_told(cors: Any) -> bool:
    """Whether a Function URL lets the pages of CorsOrigins ask, and others if there are none."""
    match cors:
        case {"Fn::If": ["ServesBrowsers", {"AllowOrigins": origins} as given, unless]}:
            told = {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}
            return (origins, unless) == (told, {"Ref": "AWS::NoValue"}) and (
                set(given["AllowHeaders"]) >= SIGNED and "AllowCredentials" not in given
            )
    return False


# What allows something to somebody, beside the functions' own policies, the layer's permissions,
# and the policies of queues and buckets, which have a rule of their own.
ALLOWING = (
    "IAM::Role",
    "IAM::Policy",
    "IAM::RolePolicy",
    "IAM::UserPolicy",
    "Lambda::Permission",
    "Lambda::Url",
    "Serverless::Api",
    "Serverless::HttpApi",
    "SNS::TopicPolicy",
)


def what_is_allowed_stands_where_the_rules_look(template: Template) -> Iterator[str]:
    for kind in ALLOWING:
        yield from (f"{name} allows what no rule looks at" for name in resources(template, kind))
    for name, resource in resources(template, "ManagedPolicy").items():
        if {"Roles", "Users", "Groups"} & set(resource["Properties"]):
            yield f"{name} allows it to somebody beside the functions"
    for function, properties in functions(template).items():
        for event, it in properties.get("Events", {}).items():
            if "RoleArn" in it["Properties"]:
                yield f"{function}: {event} has a role from elsewhere"


def no_permission_is_written_twice(template: Template) -> Iterator[str]:
    managed = resources(template, "ManagedPolicy").values()
    documents = [it["Properties"]["PolicyDocument"] for it in managed]
    for properties in functions(template).values():
        documents += [it for it in properties.get("Policies", []) if "Statement" in it]
    written = [statement for document in documents for statement in document["Statement"]]
    for at, statement in enumerate(written):
        if statement in written[:at]:
            yield f"two policies allow {actions(statement)} in the same words"


def answers_are_shared_with_nobody_unasked(template: Template) -> Iterator[str]:
    if template["Parameters"]["ShareAnswers"]["Default"] != "nobody":
        yield "callers get answers of others unasked"
    given = environment(functions(template)["AskFunction"]).get("SHARE_ANSWERS")
    if list(references(given)) != ["ShareAnswers"]:
        yield "who else gets an answer is not for the operator to say"


RULES: tuple[Rule, ...] = (
    nothing_is_resolved_into_the_template,
    a_parameter_names_a_secret_and_never_is_one,
    what_stands_in_an_environment_by_itself_is_plain,
    no_prompt_is_logged_or_sent_elsewhere,
    a_function_is_called_in_the_ways_that_are_meant,
    what_is_allowed_stands_where_the_rules_look,
    no_permission_is_written_twice,
    answers_are_shared_with_nobody_unasked,
)
