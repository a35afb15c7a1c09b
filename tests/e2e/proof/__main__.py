"""``make deploy-local``: deploy a copy of the tree, change it, break it, delete it."""

import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.proof import COLUMNS, Proof, prove

from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.cloud import LocalCloud
from local_cloud.scenario.result_table import ResultTable
from upstash_endpoint.children import PartFailed


def main() -> int:
    """Print what came of each step; the exit status is 1 when an expectation or a part failed."""
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
    return proof.end(f"{proof.rows} rows, {time.monotonic() - began:.0f} s in all.")


try:
    sys.exit(main())
except PartFailed as failed:
    sys.exit(f"local_cloud: {failed}")
except KeyboardInterrupt:
    sys.exit(130)
