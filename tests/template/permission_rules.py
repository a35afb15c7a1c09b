"""Rules of IAM: each function has the permissions that its code uses, and no others."""

import re
from collections.abc import Iterator
from typing import Any

from tests.template.loader import Properties, environment, references
from tests.template.resolved_template import ABSENT, PSEUDO, ResolvedTemplate
from tests.template.rule import broken_by

Statement = dict[str, Any]
PARTITION, REGION, ACCOUNT = (PSEUDO[f"AWS::{it}"] for it in ("Partition", "Region", "AccountId"))
SCHEDULE = "Resources/FlushCacheFunction/Properties/Events/Scheduled/Properties"
SECRETS = "Resources/Secrets/Properties/PolicyDocument/Statement"
MODEL_CALLS = "Resources/ModelCalls/Properties/PolicyDocument/Statement"
SUMMARIZE = "Resources/SummarizeFunction/Properties/Policies/2/Statement"
SSM = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter"


def sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def added(kind: str, **properties: Any) -> tuple[str, dict[str, Any]]:
    return "Resources/Added", {"Type": f"AWS::{kind}", "Properties": properties}


# SAM creates the roles of the functions.
GRANTING = (
    *("IAM::Role", "IAM::Policy", "IAM::RolePolicy", "IAM::UserPolicy", "SNS::TopicPolicy"),
    *("Lambda::Permission", "Lambda::Url", "Lambda::LayerVersionPermission"),
    *("Serverless::Api", "Serverless::HttpApi"),
)


@broken_by(
    added("Lambda::Permission", Principal="*", FunctionName={"Ref": "AskFunction"}),
    added("IAM::Policy", Roles=[{"Ref": "AskFunctionRole"}], PolicyName="all"),
    added("Lambda::Url", AuthType="NONE", TargetFunctionArn={"Ref": "AskFunction"}),
    added("Lambda::LayerVersionPermission", Principal="*"),
    ("Resources/Secrets/Properties/Users", ["a-user"]),
    ("Resources/SettingsRevision/Properties/PolicyDocument/Statement/0/Effect", "Allow"),
    ("Resources/AskFunction/Properties/Role", "arn:aws:iam::111122223333:role/administrator"),
    ("Resources/AskFunction/Properties/Policies/0", "AmazonBedrockFullAccess"),
    (f"{SCHEDULE}/RoleArn", "arn:aws:iam::111122223333:role/scheduler"),
)
def permissions_are_policies_of_functions(template: ResolvedTemplate) -> Iterator[str]:
    for kind in GRANTING:
        yield from (f"{name} grants permissions" for name in template.of_type(kind))
    used = set(references([function.get("Policies") for function in template.functions.values()]))
    for name, policy in template.of_type("ManagedPolicy").items():
        effects = {statement["Effect"] for statement in policy["PolicyDocument"]["Statement"]}
        if {"Roles", "Users", "Groups"} & set(policy) or (name not in used and effects != {"Deny"}):
            yield f"{name} grants permissions to others than the functions"
    for name, function in template.functions.items():
        if "Role" in function and owner(template, function) is function:
            yield f"{name} has a role from outside the template"
        if not all(isinstance(it, dict) and "Statement" in it for it in policies(template, name)):
            yield f"{name} has a policy from outside the template"
        if "RoleArn" in str(function.get("Events")):
            yield f"{name} has an event with a role from outside the template"


def owner(template: ResolvedTemplate, function: Properties) -> Properties:
    """Return the function whose role a function has: usually itself."""
    role = next(references(function.get("Role")), "")
    found = template.functions.get(role.removesuffix("Role"), function)
    return function if "Role" in found else found


def policies(template: ResolvedTemplate, name: str) -> list[Any]:
    """Return the policies of a function; a managed policy of the template as its document."""
    managed = template.of_type("ManagedPolicy")
    return [
        managed[policy["Ref"]]["PolicyDocument"]
        if isinstance(policy, dict) and policy.get("Ref") in managed
        else policy
        for policy in owner(template, template.functions[name]).get("Policies", [])
    ]


def statements(template: ResolvedTemplate, name: str) -> list[Statement]:
    documents = [it for it in policies(template, name) if isinstance(it, dict)]
    return [statement for it in documents for statement in it.get("Statement", [])]


def actions(statement: Statement) -> list[str]:
    return _texts(statement["Action"])


def named_resources(statement: Statement) -> list[str]:
    """Return the resources of a statement, `!Sub` as its text and `!GetAtt X.Arn` as `${X.Arn}`."""
    return _texts(statement["Resource"])


def granted(template: ResolvedTemplate, name: str) -> set[tuple[str, str]]:
    """Return each action that a function may call, with each resource."""
    return {
        (action, resource)
        for statement in statements(template, name)
        for action in actions(statement)
        for resource in named_resources(statement)
    }


def _texts(value: Any) -> list[str]:
    match value:
        case list():
            return [text for item in value for text in _texts(item)]
        case {"Fn::Sub": text}:
            return [text]
        case {"Fn::GetAtt": [name, attribute]}:
            return [f"${{{name}.{attribute}}}"]
    return [str(value)]


# Bedrock checks InvokeModel for Converse.
CALLS = {
    "AskFunction": {"ssm:GetParameters", "kms:Decrypt", "bedrock:InvokeModel"},
    "FlushCacheFunction": {"ssm:GetParameters", "kms:Decrypt"},
    "SummarizeFunction": {
        *("ssm:GetParameters", "kms:Decrypt", "bedrock:InvokeModel"),
        *("s3:GetObject", "s3:PutObject", "s3:ListBucket"),
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"),
    },
}


@broken_by(
    (f"{SECRETS}/0/Action", ["ssm:GetParameters", "ssm:PutParameter"]),
    ("Resources/FlushCacheFunction/Properties/Policies", []),
    ("Resources/FlushCacheFunction/Properties/Role", {"Fn::GetAtt": ["AskFunctionRole", "Arn"]}),
    (f"{SUMMARIZE}/3/Action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
)
def functions_have_the_actions_that_they_call(template: ResolvedTemplate) -> Iterator[str]:
    for name in template.functions:
        allowed = {action for action, _ in granted(template, name)}
        if allowed | {"kms:Decrypt"} != CALLS.get(name):
            yield f"{name} has the permissions {sorted(allowed)}"


OBJECTS = re.compile(r"\$\{(\w+)\.Arn\}/[\w-]+/\*")
OBJECT_ACTIONS = {"s3:GetObject", "s3:PutObject"}
ANY_REGION = f"arn:{PARTITION}:bedrock:*::foundation-model/"


@broken_by(
    (f"{MODEL_CALLS}/0/Resource", "*"),
    (f"{MODEL_CALLS}/0/Resource", sub(f"{SSM}${{UpstashTokenParameter}}?")),
    (f"{MODEL_CALLS}/0/Action", "ssm:*"),
    (f"{MODEL_CALLS}/0/Effect", "Deny"),
    (f"{MODEL_CALLS}/1/Fn::If/1/Resource", sub("arn:${AWS::Partition}:bedrock:*:*:*")),
    (f"{MODEL_CALLS}/2/Condition", ABSENT),
    (f"{MODEL_CALLS}/2/Condition/Fn::If/1/StringEquals/bedrock:InferenceProfileArn", "*"),
    (f"{SUMMARIZE}/2/Resource", sub("${Documents.Arn}/*")),
    (f"{SUMMARIZE}/2/Resource", sub("${DocumentMessages.Arn}/documents/*")),
    (f"{SUMMARIZE}/3/Action", "s3:DeleteObject"),
)
def no_permission_has_a_wildcard(template: ResolvedTemplate) -> Iterator[str]:
    """Objects of one prefix need a wildcard; so do the regions of one inference profile."""
    for name in template.functions:
        for statement in statements(template, name):
            if statement["Effect"] != "Allow" or "*" in "".join(actions(statement)):
                yield f"{name}: {statement} denies an action, or allows any"
            for resource in named_resources(statement):
                objects = OBJECTS.fullmatch(resource)
                if objects and objects[1] in template.of_type("S3::Bucket"):
                    expected = set(actions(statement)) <= OBJECT_ACTIONS
                elif resource.startswith(ANY_REGION):
                    limits = statement.get("Condition", {}).get("StringEquals", {})
                    expected = "*" not in limits.get("bedrock:InferenceProfileArn", "*")
                else:
                    expected = not set("*?") & set(resource)
                if not expected:
                    yield f"{name}: {resource} is a wildcard"


@broken_by(
    ("Resources/FlushCacheFunction/Properties/Policies/1", {"Ref": "ModelCalls"}),
    (f"{MODEL_CALLS}/0/Resource", sub(f"{SSM}${{UpstashFlushTokenParameter}}")),
    (f"{SECRETS}/0/Resource/0", sub(f"{SSM}/${{UpstashUrlParameter}}")),
    (f"{SECRETS}/0/Resource/0", sub("arn:aws:ssm:eu-west-1:1:parameter${UpstashUrlParameter}")),
    (f"{SECRETS}/0/Resource/1/Fn::If/0", "Encrypts"),
)
def functions_read_the_secrets_that_they_name(template: ResolvedTemplate) -> Iterator[str]:
    for name, function in template.functions.items():
        variables = environment(function).items()
        secrets = {value for variable, value in variables if variable.endswith("_PARAMETER")}
        named = {f"arn:{PARTITION}:ssm:{REGION}:{ACCOUNT}:parameter{it}" for it in secrets}
        readable = {it for action, it in granted(template, name) if action == "ssm:GetParameters"}
        if named != readable:
            yield f"{name} names {named}, and may read {readable}"


@broken_by(
    (f"{SECRETS}/1/Fn::If/1/Condition", ABSENT),
    (f"{SECRETS}/1/Fn::If/1/Resource", sub("arn:aws:kms:${AWS::Region}:${AWS::AccountId}:key/2")),
)
def functions_decrypt_secrets_only(template: ResolvedTemplate) -> Iterator[str]:
    by_ssm = {"StringEquals": {"kms:ViaService": f"ssm.{REGION}.amazonaws.com"}}
    expected = template.choices.get("SecretsKeyArn"), by_ssm
    for name in template.functions:
        for it in statements(template, name):
            limits = it["Resource"], it.get("Condition")
            if "kms:Decrypt" in actions(it) and limits != expected:
                yield f"{name} may decrypt with any key, or more than SSM parameters"
