"""Deleting the stack, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.proof.inventory import account
from tests.e2e.proof.proof import timed

from local_cloud.aws.stack_deployment import UPLOAD_BUCKET

if TYPE_CHECKING:
    from tests.e2e.proof.proof import Proof

LAYERS = "AWS::Lambda::LayerVersion"
PARAMETERS = "AWS::SSM::Parameter"
BUCKETS = "AWS::S3::Bucket"


def deletion(proof: Proof) -> None:
    """Delete the stack: what it retains stays (versions, documents), and what was not its own."""
    aws, outputs = proof.cloud.aws, proof.cloud.stack.outputs
    documents, arn = outputs["DocumentsBucket"], outputs["LayerArnParameter"]
    before = account(aws)
    theirs = {physical for _, physical in proof.cloud.stack.resources.values()} - {arn}
    with timed() as taken:
        proof.cloud.delete()
    after = account(aws)
    retained = after.pop(LAYERS, set())
    own = {PARAMETERS: before[PARAMETERS] - theirs, BUCKETS: {UPLOAD_BUCKET, documents}}
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
        "retained by design",
        f"{len(retained)} layer versions, the parameter with the latest, the bucket of documents",
        true=retained == before[LAYERS] and documents in after[BUCKETS] and arn in own[PARAMETERS],
        expected="every layer version, the parameter with the latest, the bucket of documents",
        instead=(retained, after),
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
