"""Find and remove the resources that a deleted stack has left in the account."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from deployment.account import Account
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import DeployedStack

BUCKET, LAYER, PARAMETER = "AWS::S3::Bucket", "AWS::Lambda::LayerVersion", "AWS::SSM::Parameter"


@dataclass(frozen=True, slots=True)
class RetainedResources:
    """Buckets, layer versions (ARNs) and SSM parameters that CloudFormation did not delete.

    `parameters` are those of the last deleted stack.
    """

    buckets: list[str]
    layers: list[str]
    ssm_names: list[str]
    parameters: Mapping[str, str]

    @classmethod
    def find(cls, account: Account, name: str) -> Self | None:
        """Find what deleted stacks of this name have left; return None if there were none.

        CloudFormation lists a deleted stack for 90 days.
        """
        cloudformation = account.client("cloudformation")
        deleted = list(_deleted(cloudformation, name))
        if not deleted:
            return None
        skipped = {it for stack_id, _ in deleted for it in _skipped(cloudformation, stack_id)}

        def existing(kind: str, probe: Any) -> list[str]:
            return sorted(name for type_, name in skipped if type_ == kind and _exists(probe, name))

        s3, functions, ssm = (account.client(service) for service in ("s3", "lambda", "ssm"))
        return cls(
            existing(BUCKET, lambda name: s3.head_bucket(Bucket=name)),
            existing(LAYER, lambda name: functions.get_layer_version_by_arn(Arn=name)),
            existing(PARAMETER, lambda name: ssm.get_parameter(Name=name)),
            deleted[0][1].parameters,
        )

    def __bool__(self) -> bool:
        return bool(self.buckets or self.layers or self.ssm_names)

    def describe(self, account: Account) -> Iterator[str]:
        """Yield a line for each resource."""
        s3 = account.client("s3")
        for bucket in self.buckets:
            filled = s3.list_object_versions(Bucket=bucket, MaxKeys=1).get("Versions")
            yield f"the bucket {bucket}, {'with documents or summaries' if filled else 'empty'}"
        for layer in self.layers:
            yield f"the layer version {layer}, which functions of other stacks may use"
        for name in self.ssm_names:
            yield f"the SSM parameter {name}, from which other stacks read the ARN of the layer"

    @contextlib.contextmanager
    def parameters_removed(self, account: Account) -> Iterator[None]:
        """Remove the SSM parameters, which a new stack could not create otherwise.

        A failure restores them; Ctrl-C does not, because CloudFormation continues.
        """
        ssm = account.client("ssm")
        values = {
            name: ssm.get_parameter(Name=name)["Parameter"]["Value"] for name in self.ssm_names
        }
        for name in values:
            ssm.delete_parameter(Name=name)
        try:
            yield
        except CommandFailure:
            for name, value in values.items():
                with contextlib.suppress(ssm.exceptions.ParameterAlreadyExists):
                    ssm.put_parameter(Name=name, Value=value, Type="String")
            raise

    def remove(self, account: Account) -> None:
        """Remove all resources, with all documents and summaries."""
        for bucket in self.buckets:
            found = account.session.resource("s3").Bucket(bucket)
            found.object_versions.delete()
            found.delete()
        for layer in self.layers:
            *_, layer_name, version = layer.split(":")
            account.client("lambda").delete_layer_version(
                LayerName=layer_name, VersionNumber=int(version)
            )
        for name in self.ssm_names:
            account.client("ssm").delete_parameter(Name=name)


def _deleted(cloudformation: Any, name: str) -> Iterator[tuple[str, DeployedStack]]:
    """Yield the id and the data of the kit's deleted stacks of this name, latest first."""
    pages = cloudformation.get_paginator("list_stacks").paginate(
        StackStatusFilter=["DELETE_COMPLETE"]
    )
    found = [it for page in pages for it in page["StackSummaries"] if it["StackName"] == name]
    for it in sorted(found, key=lambda it: it["CreationTime"], reverse=True):
        stack = DeployedStack.find(cloudformation, it["StackId"])
        if stack and stack.is_kit:
            yield it["StackId"], stack


def _skipped(cloudformation: Any, stack_id: str) -> Iterator[tuple[str, str]]:
    """Yield type and physical id of the resources that CloudFormation did not delete."""
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
