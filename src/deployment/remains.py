"""What a deleted stack leaves in the account, by CloudFormation's own account of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from deployment.failure import Failure
from deployment.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deployment.account import Account

BUCKET, LAYER, PARAMETER = "AWS::S3::Bucket", "AWS::Lambda::LayerVersion", "AWS::SSM::Parameter"


@dataclass(frozen=True, slots=True)
class Remains:
    """Buckets, layer versions (ARNs) and SSM parameters that were skipped and are still there.

    ``parameters`` is what the last of the deleted stacks was deployed with.
    """

    buckets: list[str]
    layers: list[str]
    names: list[str]
    parameters: Mapping[str, str]

    @classmethod
    def of(cls, account: Account, name: str) -> Self | None:
        """Return what the kit's deleted stacks of that name left; None if there was no such stack.

        CloudFormation remembers a deleted stack for 90 days.
        """
        cloudformation = account.client("cloudformation")
        deleted = list(_deleted(cloudformation, name))
        if not deleted:
            return None
        skipped = {it for stack_id, _ in deleted for it in _skipped(cloudformation, stack_id)}

        def there(kind: str, probe: Any) -> list[str]:
            return sorted(one for of, one in skipped if of == kind and _exists(probe, one))

        s3, functions, ssm = (account.client(service) for service in ("s3", "lambda", "ssm"))
        return cls(
            there(BUCKET, lambda one: s3.head_bucket(Bucket=one)),
            there(LAYER, lambda one: functions.get_layer_version_by_arn(Arn=one)),
            there(PARAMETER, lambda one: ssm.get_parameter(Name=one)),
            deleted[0][1].parameters,
        )

    def __bool__(self) -> bool:
        return bool(self.buckets or self.layers or self.names)

    def lines(self, account: Account) -> Iterator[str]:
        """Yield a line about each."""
        s3 = account.client("s3")
        for bucket in self.buckets:
            filled = s3.list_object_versions(Bucket=bucket, MaxKeys=1).get("Versions")
            yield f"the bucket {bucket}, {'with documents or summaries' if filled else 'empty'}"
        for layer in self.layers:
            yield f"the layer version {layer}, which functions of other stacks may use"
        for name in self.names:
            yield f"the SSM parameter {name}, from which other stacks read the layer's ARN"

    @contextlib.contextmanager
    def set_aside(self, account: Account) -> Iterator[None]:
        """Remove the SSM parameters for a new stack, which creates none that is there.

        They are put back when that fails; after Ctrl-C they are not, for CloudFormation goes on.
        """
        ssm = account.client("ssm")
        values = {name: ssm.get_parameter(Name=name)["Parameter"]["Value"] for name in self.names}
        for name in values:
            ssm.delete_parameter(Name=name)
        try:
            yield
        except Failure:
            for name, value in values.items():
                with contextlib.suppress(ssm.exceptions.ParameterAlreadyExists):
                    ssm.put_parameter(Name=name, Value=value, Type="String")
            raise

    def remove(self, account: Account) -> None:
        """Remove all of it, documents and summaries included."""
        for bucket in self.buckets:
            found = account.session.resource("s3").Bucket(bucket)
            found.object_versions.delete()
            found.delete()
        for layer in self.layers:
            *_, layer_name, version = layer.split(":")
            account.client("lambda").delete_layer_version(
                LayerName=layer_name, VersionNumber=int(version)
            )
        for name in self.names:
            account.client("ssm").delete_parameter(Name=name)


def _deleted(cloudformation: Any, name: str) -> Iterator[tuple[str, Stack]]:
    """Yield the id and the stack of each deleted stack of the kit with that name, latest first."""
    pages = cloudformation.get_paginator("list_stacks").paginate(
        StackStatusFilter=["DELETE_COMPLETE"]
    )
    found = [it for page in pages for it in page["StackSummaries"] if it["StackName"] == name]
    for it in sorted(found, key=lambda it: it["CreationTime"], reverse=True):
        stack = Stack.find(cloudformation, it["StackId"])
        if stack and stack.ours:
            yield it["StackId"], stack


def _skipped(cloudformation: Any, stack_id: str) -> Iterator[tuple[str, str]]:
    """Yield type and physical id of what deletions and updates of a stack have left alone."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for page in pages:
        for event in page["StackEvents"]:
            if event["ResourceStatus"] == "DELETE_SKIPPED":
                yield event["ResourceType"], event["PhysicalResourceId"]


def _exists(probe: Any, name: str) -> bool:
    try:
        probe(name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 404}:
            return False
        raise
    return True
