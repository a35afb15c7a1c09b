"""`make deploy-local`: deploy a copy of the checkout, change it, break it, delete it."""

import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from tests.e2e.proof import deployments, environments, invocations
from tests.e2e.proof.proof import COLUMNS, Proof

from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.cloud import LocalCloud
from local_cloud.scenario.result_table import ResultTable
from upstash_endpoint.children import PartFailed

LINUX = sys.platform == "linux"


def main() -> int:
    """Print each step; return the exit status, 1 if an expectation failed."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="local-cloud-tree-") as folder,
        LocalCloud.start(model="echo", tree=CHECKOUT_TREE.copy(Path(folder))) as cloud,
    ):
        table = ResultTable(COLUMNS)
        table.print_heading()
        proof = Proof(cloud, table.print_row)
        prove(proof)
    print()
    return proof.end(f"{proof.rows} rows, {time.monotonic() - began:.0f} s in total")


def prove(proof: Proof) -> None:
    """Run all steps on a stack that was just deployed; delete it at the end."""
    deployments.complete(proof)
    invocations.by_alias(proof)
    invocations.by_url(proof)
    invocations.by_schedule(proof)
    invocations.full_database(proof)
    invocations.failing_by_schedule(proof)
    invocations.by_upload(proof)
    invocations.by_topic(proof)
    invocations.failing_by_queue(proof)
    with environments.asleep(proof) if LINUX else nullcontext() as sleeper:
        deployments.again(proof)
        deployments.library(proof)
        deployments.parameters(proof)
        deployments.failing(proof)
        run_under_aws_runtime(proof)
        if sleeper:
            sleeper.wake(proof)
    deployments.delete(proof)


def run_under_aws_runtime(proof: Proof) -> None:
    """Run the deployed functions under AWS's own runtime client, on Linux."""
    if not LINUX:
        proof.note("AWS's own runtime client", "left out: published for Linux only")
        return
    for name in proof.cloud.stack.functions:
        with proof.cloud.downloaded(name) as deployed:
            environments.package(proof, deployed)
            environments.limits(proof, deployed)
            if name == "AskFunction":
                environments.deadline(proof, deployed)
                environments.timeout(proof, deployed)
                environments.crash(proof, deployed)
                environments.several(proof, deployed)
                environments.snapstart(proof, deployed)
            if name == "SummarizeFunction":
                environments.large(proof, deployed)


try:
    sys.exit(main())
except PartFailed as failed:
    sys.exit(f"local_cloud: {failed}")
except KeyboardInterrupt:
    sys.exit(130)
