"""List the resources of an account by type, and compare them with a stack's template."""

import contextlib
from collections.abc import Callable, Iterator

from tests.e2e.proof.transformed import due

from local_cloud.aws.emulator import EmulatedAws
from local_cloud.stack.emulated_stack import EmulatedStack

LISTED = {
    "AWS::CloudWatch::Alarm": "cloudwatch describe_alarms MetricAlarms[].AlarmName",
    "AWS::CloudWatch::Dashboard": "cloudwatch list_dashboards DashboardEntries[].DashboardName",
    "AWS::IAM::ManagedPolicy": "iam list_policies Policies[].Arn",
    "AWS::IAM::Role": "iam list_roles Roles[].RoleName",
    "AWS::Lambda::EventSourceMapping": (
        "lambda list_event_source_mappings EventSourceMappings[].UUID"
    ),
    "AWS::Lambda::Function": "lambda list_functions Functions[].FunctionName",
    "AWS::Logs::LogGroup": "logs describe_log_groups logGroups[].logGroupName",
    "AWS::S3::Bucket": "s3 list_buckets Buckets[].Name",
    "AWS::SNS::Subscription": "sns list_subscriptions Subscriptions[].SubscriptionArn",
    "AWS::SNS::Topic": "sns list_topics Topics[].TopicArn",
    "AWS::SQS::Queue": "sqs list_queues QueueUrls[]",
    "AWS::SSM::Parameter": "ssm describe_parameters Parameters[].Name",
    "AWS::Scheduler::Schedule": "scheduler list_schedules Schedules[].Name",
}
"""Service, operation and JMESPath of the names, for types that one operation lists."""
OF_A_FUNCTION = {
    "AWS::Lambda::Alias": "list_aliases Aliases[].AliasArn",
    "AWS::Lambda::EventInvokeConfig": (
        "list_function_event_invoke_configs FunctionEventInvokeConfigs[].FunctionArn"
    ),
    "AWS::Lambda::Version": ("list_versions_by_function Versions[?Version!='$LATEST'].FunctionArn"),
}
"""Operation and JMESPath of the names, for types that are listed for each function."""
NAMELESS = {"AWS::S3::BucketPolicy": "AWS::S3::Bucket", "AWS::SQS::QueuePolicy": "AWS::SQS::Queue"}
"""Types without a name in the account, and the type of their owner, which has exactly one."""
OWN_ONLY = {"AWS::IAM::ManagedPolicy": {"Scope": "Local"}}


def account(aws: EmulatedAws) -> dict[str, set[str]]:
    """Return the names of all resources in the account by type; empty types are left out."""
    found = {kind: set(map(_short, _listed(aws, kind))) for kind in LISTED}
    for kind in OF_A_FUNCTION:
        found[kind] = set(map(_short, _of_functions(aws, kind)))
    for kind, listing in _SPECIAL.items():
        found[kind] = set(map(_short, listing(aws)))
    return {kind: names for kind, names in found.items() if names}


def differences(stack: EmulatedStack) -> list[str]:
    """Return the differences between the stack's template and the account.

    AWS's own translator returns the due resources; the services list the present ones.
    """
    wanted, present = due(stack), account(stack.aws)
    known = {*LISTED, *OF_A_FUNCTION, *_SPECIAL}
    wrong = [f"{logical} is not in the template" for logical in stack.resources.keys() - wanted]
    for logical, kind in sorted(wanted.items()):
        if kind not in known:
            wrong.append(f"{logical}: {kind} is not listed by {__name__}")
        elif logical not in stack.resources:
            wrong.append(f"{logical}: the stack has no such {kind}")
        elif kind not in NAMELESS and _short(stack.physical(logical)) not in present.get(kind, ()):
            wrong.append(f"{logical}: no {kind} is called {stack.physical(logical)}")
    for kind, owner in NAMELESS.items():
        expected, found = list(wanted.values()).count(owner), len(present.get(kind, ()))
        if expected != found:
            wrong.append(f"{kind}: {expected} are due, {found} are present")
    return wrong


def _listed(aws: EmulatedAws, kind: str) -> Iterator[str]:
    service, operation, names = LISTED[kind].split()
    pages = aws.client(service).get_paginator(operation).paginate(**OWN_ONLY.get(kind, {}))
    return (name for name in pages.search(names) if name)


def _of_functions(aws: EmulatedAws, kind: str) -> Iterator[str]:
    operation, names = OF_A_FUNCTION[kind].split()
    pages = aws.client("lambda").get_paginator(operation)
    for function in _listed(aws, "AWS::Lambda::Function"):
        yield from pages.paginate(FunctionName=function).search(names)


def _layer_versions(aws: EmulatedAws) -> Iterator[str]:
    client = aws.client("lambda")
    for layer in client.get_paginator("list_layers").paginate().search("Layers[].LayerName"):
        pages = client.get_paginator("list_layer_versions").paginate(LayerName=layer)
        yield from pages.search("LayerVersions[].LayerVersionArn")


def _urls(aws: EmulatedAws) -> Iterator[str]:
    client = aws.client("lambda")
    for alias in _of_functions(aws, "AWS::Lambda::Alias"):
        function, qualifier = _short(alias).split(":")
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.get_function_url_config(FunctionName=function, Qualifier=qualifier)
            yield alias


def _bucket_policies(aws: EmulatedAws) -> Iterator[str]:
    client = aws.client("s3")
    for bucket in _listed(aws, "AWS::S3::Bucket"):
        with contextlib.suppress(client.exceptions.ClientError):  # it has none
            client.get_bucket_policy(Bucket=bucket)
            yield bucket


def _queue_policies(aws: EmulatedAws) -> Iterator[str]:
    client = aws.client("sqs")
    for url in _listed(aws, "AWS::SQS::Queue"):
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        if found.get("Attributes", {}).get("Policy"):
            yield url


_SPECIAL: dict[str, Callable[[EmulatedAws], Iterator[str]]] = {
    "AWS::Lambda::LayerVersion": _layer_versions,
    "AWS::Lambda::Url": _urls,
    "AWS::S3::BucketPolicy": _bucket_policies,
    "AWS::SQS::QueuePolicy": _queue_policies,
}


def _short(name: str) -> str:
    if name.startswith("http"):
        return name.rpartition("/")[2]
    return name.rpartition(":function:")[2]
