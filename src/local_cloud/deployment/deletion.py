"""Deleting the stack, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_cloud.deployment.inventory import account
from local_cloud.deployment.proof import timed
from local_cloud.sam import BUCKET

if TYPE_CHECKING:
    from local_cloud.deployment.proof import Proof

LAYERS = "AWS::Lambda::LayerVersion"
PARAMETERS = "AWS::SSM::Parameter"


def deletion(proof: Proof) -> None:
    """Delete the stack: the layer's versions stay (RetentionPolicy), and what was not its own."""
    aws = proof.cloud.aws
    before = account(aws)
    theirs = {physical for _, physical in proof.cloud.stack.resources.values()}
    with timed() as taken:
        proof.cloud.delete()
    after = account(aws)
    retained = after.pop(LAYERS, set())
    own = {PARAMETERS: before[PARAMETERS] - theirs, "AWS::S3::Bucket": {BUCKET}}
    gone = {kind: names - after.get(kind, set()) for kind, names in before.items()}
    proof.tell(
        "sam delete",
        f"{sum(map(len, gone.values()))} resources gone, none left",
        true=after == own,
        expected="none left",
        seconds=taken.seconds,
        instead=after,
    )
    proof.tell(
        "retained by design (RetentionPolicy: Retain)",
        f"{len(retained)} layer versions",
        true=retained == before[LAYERS],
        expected="every layer version",
        instead=retained,
    )
    proof.tell(
        "not the stack's: there before it, and after",
        "the SSM parameters, the bucket of uploads",
        true=own.items() <= after.items(),
        expected="there",
        instead=after,
    )
    stacks = aws.client("cloudformation").list_stacks()["StackSummaries"]
    status = {stack["StackStatus"] for stack in stacks}
    proof.tell(
        "the stack",
        "deleted",
        true=status == {"DELETE_COMPLETE"},
        expected="deleted",
        instead=status,
    )
