"""What must hold of the template, as functions that yield one sentence for each breach.

They take the template as data, so that a test can break it and see the rule object.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.template.loader import (
    Properties,
    Template,
    environment,
    functions,
    leaves,
    references,
    resources,
)

ABSENT = {"Ref": "AWS::NoValue"}
Rule = Callable[[Template], Iterator[str]]

RUNTIME = {"Ref": "Runtime"}
ARCHITECTURE = {"Ref": "Architecture"}
TARGET = {"Fn::Sub": "layers/targets/${Architecture}-${Runtime}"}
SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL")


def no_secret_stands_in_an_environment(template: Template) -> Iterator[str]:
    hidden = {key for key, it in template["Parameters"].items() if it.get("NoEcho")}
    for function, properties in functions(template).items():
        for name, value in environment(properties).items():
            if hidden & set(references(value)):
                yield f"{function}: {name} shows a NoEcho parameter to whoever reads the function"
            if any("{{resolve:" in str(leaf) for leaf in leaves(value)):
                yield f"{function}: {name} is resolved at deployment, into plain text"
            # MODEL_MAX_TOKENS is none; a name ending in _PARAMETER names where the value is
            secret = any(part.endswith(SECRET_WORDS) for part in name.split("_"))
            if secret and not name.endswith("_PARAMETER"):
                yield f"{function}: {name} should hold the name of a parameter, not a value"


def named_parameters_may_be_read(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        readable = {
            name
            for statement in statements(template, properties)
            if any("ssm:GetParameter" in action for action in actions(statement))
            for name in references(statement.get("Resource"))
        }
        for variable, value in environment(properties).items():
            if variable.endswith("_PARAMETER") and not set(references(value)) <= readable:
                yield f"{function} may not read the parameter that {variable} names"


# What each function calls. Converse is allowed as InvokeModel.
CALLS = {
    "AskFunction": {"ssm:GetParameters", "kms:Decrypt", "bedrock:InvokeModel"},
    "FlushCacheFunction": {"ssm:GetParameters", "kms:Decrypt"},
    "SummarizeFunction": {
        *("ssm:GetParameters", "kms:Decrypt", "bedrock:InvokeModel"),
        *("s3:GetObject", "s3:PutObject", "s3:ListBucket"),
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"),
    },
}


def only_what_is_called_is_allowed(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        allowed = {
            action
            for statement in statements(template, properties)
            for action in actions(statement)
        }
        if allowed != CALLS.get(function, set()):
            yield f"{function} is allowed {sorted(allowed)}"


def no_function_reads_anothers_secret(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        variables = environment(properties).items()
        named = [value for variable, value in variables if variable.endswith("_PARAMETER")]
        resources_ = [
            statement.get("Resource")
            for statement in statements(template, properties)
            if any("ssm:" in action for action in actions(statement))
        ]
        for name in set(references(resources_)) - set(references(named)):
            if not name.startswith("AWS::"):
                yield f"{function} may read the parameter that {name} names"


BY_SSM = {"StringEquals": {"kms:ViaService": {"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"}}}


def a_key_decrypts_nothing_but_the_secrets(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        for statement in statements(template, properties):
            if any(action.startswith("kms:") for action in actions(statement)) and (
                statement.get("Resource"),
                statement.get("Condition"),
            ) != ({"Ref": "SecretsKeyArn"}, BY_SSM):
                yield f"{function} may decrypt what is no parameter of SSM, or with another key"


def statements(template: Template, properties: Properties) -> Iterator[dict[str, Any]]:
    """Every IAM statement of a function, both sides of a condition included."""
    for policy in _policies(template, properties):
        if isinstance(policy, dict):
            yield from _unconditional(policy.get("Statement", []))


def _policies(template: Template, properties: Properties) -> list[Any]:
    """The policies of a function; of one that the template makes by itself, its document.

    A function that has another's role has what that one has.
    """
    owner = _role_of(template, properties)
    policies = (owner or properties).get("Policies", [])
    managed = resources(template, "ManagedPolicy")
    return [
        managed[policy["Ref"]]["Properties"]["PolicyDocument"]
        if isinstance(policy, dict) and policy.get("Ref") in managed
        else policy
        for policy in (policies if isinstance(policies, list) else [policies])
    ]


def _role_of(template: Template, properties: Properties) -> Properties | None:
    """The function whose role this one has, if that is one which SAM makes for another."""
    named = {f"{name}Role": it for name, it in functions(template).items() if "Role" not in it}
    return named.get(next(references(properties.get("Role")), ""))


def every_role_is_of_this_template(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        if "Role" in properties and _role_of(template, properties) is None:
            yield f"{function} has a role from elsewhere, and who knows what that allows"


def _unconditional(value: Any) -> Iterator[dict[str, Any]]:
    for statement in value if isinstance(value, list) else [value]:
        if "Fn::If" in statement:
            yield from _unconditional(statement["Fn::If"][1:])
        elif "Effect" in statement:
            yield statement


def actions(statement: dict[str, Any]) -> list[str]:
    return [str(leaf) for leaf in leaves(statement.get("Action", "*"))]


def no_permission_is_open(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        for policy in _policies(template, properties):
            if not isinstance(policy, dict) or "Statement" not in policy:
                yield f"{function}: a policy template or a managed policy hides what it allows"
        for statement in statements(template, properties):
            if statement["Effect"] != "Allow":
                yield f"{function}: {actions(statement)} is denied, and needed"
            if any(set("*?") & set(action) for action in actions(statement)):
                yield f"{function}: {actions(statement)} is a wildcard"
            yield from _open_resources(template, function, statement)


def _open_resources(template: Template, function: str, statement: dict[str, Any]) -> Iterator[str]:
    for resource in (str(leaf) for leaf in leaves(statement.get("Resource", "*"))):
        # A profile calls the model in regions of its own choosing, and their list grows.
        any_region = resource.startswith("arn:${AWS::Partition}:bedrock:*::foundation-model/${")
        if set("*?") & set(resource) and not (
            (any_region and _by_one_profile(statement)) or _objects(template, resource, statement)
        ):
            yield f"{function}: {resource} is a wildcard"


def _by_one_profile(statement: dict[str, Any]) -> bool:
    match statement.get("Condition"):
        case {
            "Fn::If": [
                "UsesProfile",
                {"StringEquals": {"bedrock:InferenceProfileArn": {"Fn::Sub": str(profile)}}},
                {"Ref": "AWS::NoValue"},
            ]
        }:
            return "*" not in profile
    return False


OBJECTS = re.compile(r"\$\{(\w+)\.Arn\}/[\w-]+/\*")
OF_OBJECTS = {"s3:GetObject", "s3:PutObject"}


def _objects(template: Template, resource: str, statement: dict[str, Any]) -> bool:
    """Whether it stands for objects under one prefix of a bucket of the stack's own.

    There is no other way to allow them: their names are not known, and no action of OF_OBJECTS
    reaches the bucket itself or another one.
    """
    named = OBJECTS.fullmatch(resource)
    own = named is not None and named[1] in resources(template, "S3::Bucket")
    return own and set(actions(statement)) <= OF_OBJECTS


# Of whatever partition, region and account the stack is in; the name of an SSM parameter begins
# with its own slash.
ARN = re.compile(
    r"arn:\$\{AWS::Partition\}:(?:ssm:\$\{AWS::Region\}:\$\{AWS::AccountId\}:parameter\$\{\w+\}"
    r"|(?!ssm)[a-z0-9-]+:(?:\$\{AWS::Region\}|\*)?:(?:\$\{AWS::AccountId\})?:.+)"
)


def every_arn_is_of_the_stacks_own_account(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        for statement in statements(template, properties):
            for resource in substituted(statement.get("Resource")):
                if not (ARN.fullmatch(resource) or OBJECTS.fullmatch(resource)):
                    yield f"{function}: {resource} is of another place"


def substituted(value: Any) -> Iterator[str]:
    """Every text under a value that is made by Sub."""
    if isinstance(value, list):
        for item in value:
            yield from substituted(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from [inner] if key == "Fn::Sub" else substituted(inner)


def a_new_layer_reaches_the_alias(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        if not properties.get("AutoPublishAlias"):
            yield f"{function} has no alias"
        if "AutoPublishCodeSha256" in properties:
            yield f"{function} publishes no version when its code changes"
        if properties.get("AutoPublishAliasAllProperties") is not True:
            yield f"{function} publishes no version when only its layer or settings change"
    for layer, resource in resources(template, "LayerVersion").items():
        if resource["Properties"].get("PublishLambdaVersion") is not True:
            yield f"{layer} publishes no function version when it changes"
        if resource.get("DeletionPolicy") != "RetainExceptOnCreate":
            yield f"{layer} is deleted while older function versions still name it"


def everything_is_built_for_one_target(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        if properties.get("Runtime") != RUNTIME or properties.get("Architectures") != [
            ARCHITECTURE
        ]:
            yield f"{function} does not follow the Runtime and Architecture parameters"
    for layer, resource in resources(template, "LayerVersion").items():
        properties = resource["Properties"]
        if properties.get("CompatibleRuntimes") != [RUNTIME]:
            yield f"{layer} does not follow the Runtime parameter"
        if properties.get("CompatibleArchitectures") != [ARCHITECTURE]:
            yield f"{layer} does not follow the Architecture parameter"
        if resource.get("Metadata", {}).get("BuildArchitecture") != ARCHITECTURE:
            yield f"{layer} is built for x86_64, sam's default, whatever the parameter says"


def every_package_is_built_by_its_makefile(template: Template) -> Iterator[str]:
    packages = resources(template, "Serverless::Function") | resources(template, "LayerVersion")
    for package, resource in packages.items():
        metadata = resource.get("Metadata", {})
        if metadata.get("BuildMethod") != "makefile":
            yield f"{package} is not built by its Makefile: no bytecode, and the host's wheels"
        if metadata.get("ContextPath") != TARGET:
            yield f"{package} is not told which architecture and runtime to build for"


def a_schedule_fails_in_sight(template: Template) -> Iterator[str]:
    for function, event, schedule in _schedules(template):
        if schedule.get("OmitName") is not True or "Name" in schedule:
            yield f"{function}: the name of {event} clashes with that of a second stack"
        if functions(template)[function]["Events"][event]["Type"] != "ScheduleV2":
            yield f"{function}: {event} is none of the scheduler's, which knows time zones"
        if schedule.get("FlexibleTimeWindow", {"Mode": "OFF"})["Mode"] != "OFF":
            yield f"{function}: {event} is not when it says"
        if "Input" in schedule:
            yield f"{function}: {event} asks for something else than to clear all"
        if schedule.get("State") != {"Ref": "FlushState"}:
            yield f"{function}: {event} cannot be switched off"
        if schedule.get("ScheduleExpressionTimezone") != {"Ref": "FlushTimezone"}:
            yield f"{function}: {event} does not say in which time zone"
        yield from _unbounded(f"{function}: {event}", schedule.get("RetryPolicy", {}))
        if _queue(template, schedule.get("DeadLetterConfig", {}).get("Arn")) is None:
            yield f"{function}: {event} has no dead-letter queue"


# The defaults are 185 attempts in a day, of a schedule, and two in six hours, of a function.
MOST_RETRIES, MOST_SECONDS = 5, 3600


def _unbounded(what: str, config: Properties) -> Iterator[str]:
    retries = config.get("MaximumRetryAttempts", math.inf)
    if retries < 1:
        yield f"{what} is tried only once"
    if retries > MOST_RETRIES or config.get("MaximumEventAgeInSeconds", math.inf) > MOST_SECONDS:
        yield f"{what} is tried again and again, up to the next one"


def _schedules(template: Template) -> Iterator[tuple[str, str, Properties]]:
    for function, properties in functions(template).items():
        for event, it in properties.get("Events", {}).items():
            if it["Type"].startswith("Schedule"):
                yield function, event, it["Properties"]


def _queue(template: Template, arn: Any) -> str | None:
    queues = resources(template, "Queue")
    return next((name for name in references(arn) if name in queues), None)


A_WEEK = 7 * 86_400


def what_a_scheduled_function_raises_is_kept(template: Template) -> Iterator[str]:
    for function, _, _ in _schedules(template):
        config = functions(template)[function].get("EventInvokeConfig", {})
        failure = config.get("DestinationConfig", {}).get("OnFailure", {})
        if _queue(template, failure.get("Destination")) is None:
            yield f"{function} raises into nothing: the scheduler's queue never sees it"
        if failure.get("Type") != "SQS":
            yield f"{function} may not send to its queue, as SAM would have it"
        yield from _unbounded(function, config)


def what_failed_is_kept_for_a_while(template: Template) -> Iterator[str]:
    for queue, resource in resources(template, "Queue").items():
        if resource["Properties"].get("MessageRetentionPeriod", 0) < A_WEEK:
            yield f"{queue} forgets what failed over a holiday"
        if resource["Properties"].get("SqsManagedSseEnabled") is not True:
            yield f"{queue} is not encrypted"
        if "FifoQueue" in resource["Properties"]:
            yield f"{queue} takes nothing from a function that failed, nor from the scheduler"


def no_url_is_public(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        if (
            properties.get("FunctionUrlConfig", {"AuthType": "AWS_IAM"}).get("AuthType")
            != "AWS_IAM"
        ):
            yield f"{function} answers, and pays for, whoever finds its URL"


def logs_are_json_and_expire(template: Template) -> Iterator[str]:
    groups = resources(template, "LogGroup")
    for function, properties in functions(template).items():
        config = properties.get("LoggingConfig", {})
        if config.get("LogFormat") != "JSON" or "ApplicationLogLevel" not in config:
            yield f"{function} does not log JSON at a level of its own"
        group = groups.get(next(references(config.get("LogGroup")), ""), {})
        if group.get("Properties", {}).get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{function} logs into a group that nothing ever empties, or not as told"


def a_new_account_can_deploy(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        reserved = properties.get("ReservedConcurrentExecutions", ABSENT)
        match reserved:
            case {"Fn::If": ["ReservesConcurrency", {"Ref": parameter}, unless]}:
                given = template["Parameters"][parameter]["Default"]
                if given or unless != ABSENT:
                    yield f"{function} reserves concurrency unasked"
            case _ if reserved != ABSENT:
                yield f"{function} reserves concurrency, which a new account has none to spare of"


def parameters_explain_themselves(template: Template) -> Iterator[str]:
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in interface for name in group["Parameters"]]
    for name, parameter in template["Parameters"].items():
        if not parameter.get("Description"):
            yield f"{name} has no description"
        if not {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter):
            yield f"{name} accepts anything"
        if parameter.get("NoEcho"):
            yield f"{name} is a secret: it belongs into SSM, and its name here"
        if "Default" not in parameter:
            yield f"{name} has no default, so a plain deployment asks for it"
        if grouped.count(name) != 1:
            yield f"{name} stands in {grouped.count(name)} groups"


# What nothing in a template refers to, and what does its work by being there.
END_IN_THEMSELVES = {
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventSourceMapping",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SQS::QueuePolicy",
}


def nothing_is_declared_in_vain(template: Template) -> Iterator[str]:
    used = set(references([template["Resources"], template["Outputs"], template["Globals"]]))
    used |= set(references(template["Conditions"]))
    for name, declared in {**template["Parameters"], **template["Resources"]}.items():
        if name not in used and declared["Type"] not in END_IN_THEMSELVES:
            yield f"{name} is used by nothing"
    conditions = json.dumps([template["Resources"], template["Globals"], template["Conditions"]])
    for name in template["Conditions"]:
        if f'"{name}"' not in conditions.replace(f'"{name}": {{', ""):
            yield f"nothing depends on the condition {name}"


def outputs_have_the_names_others_rely_on(template: Template) -> Iterator[str]:
    relied_on = {"AskUrl", "AskFunctionName", "FlushFunctionName", "CacheNamespace", "LayerArn"}
    relied_on |= {"LayerArnParameter", "AlarmTopic", "DashboardUrl", "SummarizeFunctionName"}
    relied_on |= {"DocumentsBucket", "DocumentMessagesUrl", "DocumentFailuresUrl"}
    yield from (f"no output {name}" for name in sorted(relied_on - set(template["Outputs"])))


RULES: tuple[Rule, ...] = (
    no_secret_stands_in_an_environment,
    named_parameters_may_be_read,
    every_role_is_of_this_template,
    no_permission_is_open,
    every_arn_is_of_the_stacks_own_account,
    only_what_is_called_is_allowed,
    no_function_reads_anothers_secret,
    a_key_decrypts_nothing_but_the_secrets,
    a_new_layer_reaches_the_alias,
    everything_is_built_for_one_target,
    every_package_is_built_by_its_makefile,
    a_schedule_fails_in_sight,
    what_a_scheduled_function_raises_is_kept,
    what_failed_is_kept_for_a_while,
    no_url_is_public,
    logs_are_json_and_expire,
    a_new_account_can_deploy,
    parameters_explain_themselves,
    nothing_is_declared_in_vain,
    outputs_have_the_names_others_rely_on,
)
