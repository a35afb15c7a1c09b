"""All that an account holds, listed type by type by the services themselves."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.e2e.proof.transformed import due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_cloud.aws.emulator import EmulatedAws
    from local_cloud.stack.emulated_stack import EmulatedStack

LISTED = {
    "AWS::CloudWatch::Alarm": ("cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch",
        "list_dashboards",
        "DashboardEntries[].DashboardName",
    ),
    "AWS::IAM::ManagedPolicy": ("iam", "list_policies", "Policies[].Arn"),
    "AWS::IAM::Role": ("iam", "list_roles", "Roles[].RoleName"),
    "AWS::Lambda::EventSourceMapping": (
        "lambda",
        "list_event_source_mappings",
        "EventSourceMappings[].UUID",
    ),
    "AWS::Lambda::Function": ("lambda", "list_functions", "Functions[].FunctionName"),
    "AWS::Logs::LogGroup": ("logs", "describe_log_groups", "logGroups[].logGroupName"),
    "AWS::S3::Bucket": ("s3", "list_buckets", "Buckets[].Name"),
    "AWS::SNS::Subscription": ("sns", "list_subscriptions", "Subscriptions[].SubscriptionArn"),
    "AWS::SNS::Topic": ("sns", "list_topics", "Topics[].TopicArn"),
    "AWS::SQS::Queue": ("sqs", "list_queues", "QueueUrls[]"),
    "AWS::SSM::Parameter": ("ssm", "describe_parameters", "Parameters[].Name"),
    "AWS::Scheduler::Schedule": ("scheduler", "list_schedules", "Schedules[].Name"),
}
"""Service, operation and what to read of each page, for what is listed by one operation."""
OF_A_FUNCTION = {
    "AWS::Lambda::Alias": ("list_aliases", "Aliases[].AliasArn"),
    "AWS::Lambda::EventInvokeConfig": (
        "list_function_event_invoke_configs",
        "FunctionEventInvokeConfigs[].FunctionArn",
    ),
    "AWS::Lambda::Version": (
        "list_versions_by_function",
        "Versions[?Version != '$LATEST'].FunctionArn",
    ),
}
"""Operation and what to read of each page, for what is listed function by function."""
NAMELESS = {
    "AWS::S3::BucketPolicy": "AWS::S3::Bucket",
    "AWS::SQS::QueuePolicy": "AWS::SQS::Queue",
}
"""What has a name in its stack alone, and what it is known by: each bucket and queue has one."""
ACCOUNTS_OWN = {"AWS::IAM::ManagedPolicy": {"Scope": "Local"}}


def account(aws: EmulatedAws) -> dict[str, set[str]]:
    """Return the names of everything in the account, by type; types without any are left out."""
    found = {kind: set(map(_short, _listed(aws, kind))) for kind in LISTED}
    for kind in OF_A_FUNCTION:
        found[kind] = set(map(_short, _of_functions(aws, kind)))
    for kind, listing in _SPECIAL.items():
        found[kind] = set(map(_short, listing(aws)))
    return {kind: names for kind, names in found.items() if names}


def pretended(stack: EmulatedStack) -> list[str]:
    """Return what is wrong with the stack: resources due and not there, and there but not due.

    What is due, AWS's own translator says; what is there, the service that should have it.
    """
    wanted, there = due(stack), account(stack.aws)
    known = {*LISTED, *OF_A_FUNCTION, *_SPECIAL}
    wrong = [f"{logical} is not in the template" for logical in stack.resources.keys() - wanted]
    for logical, kind in sorted(wanted.items()):
        if kind not in known:
            wrong.append(f"{logical}: {kind} is not listed by {__name__}")
        elif logical not in stack.resources:
            wrong.append(f"{logical}: the stack has no such {kind}")
        elif kind not in NAMELESS and _short(stack.physical(logical)) not in there.get(kind, set()):
            wrong.append(f"{logical}: no {kind} is called {stack.physical(logical)}")
    for kind, owner in NAMELESS.items():
        asked, have = list(wanted.values()).count(owner), len(there.get(kind, ()))
        if asked != have:
            wrong.append(f"{asked} of {kind} are due, and {have} are there")
    return wrong


def _listed(aws: EmulatedAws, kind: str) -> Iterator[str]:
    service, operation, names = LISTED[kind]
    arguments = ACCOUNTS_OWN.get(kind, {})
    pages = aws.client(service).get_paginator(operation).paginate(**arguments)
    return (name for name in pages.search(names) if name)


def _of_functions(aws: EmulatedAws, kind: str) -> Iterator[str]:
    operation, names = OF_A_FUNCTION[kind]
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
        try:
            client.get_function_url_config(FunctionName=function, Qualifier=qualifier)
        except client.exceptions.ResourceNotFoundException:
            continue
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
        told = client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        if told.get("Attributes", {}).get("Policy"):
            yield url


_SPECIAL: dict[str, Callable[[EmulatedAws], Iterator[str]]] = {
    "AWS::Lambda::LayerVersion": _layer_versions,
    "AWS::Lambda::Url": _urls,
    "AWS::S3::BucketPolicy": _bucket_policies,
    "AWS::SQS::QueuePolicy": _queue_policies,
}


def _short(name: str) -> str:
    """Return a name in one form, whether it came as an ARN, as a URL or as itself."""
    if name.startswith("http"):
        return name.rpartition("/")[2]
    return name.rpartition(":function:")[2]
