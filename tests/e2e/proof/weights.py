"""What each package weighs and how long it takes to start, beside what it may."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

from local_cloud.checkout.tool_environments import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.proof.proof import Proof

    from local_cloud.lambda_runtime.deployed_function import DeployedFunction

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, and the ten seconds of
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
LAMBDAS_UNZIPPED = 250 * 2**20
LAMBDAS_INIT = 10.0


def budgets() -> dict[str, Any]:
    """Return what layers/package/budgets.py says, which a layer's build reads too."""
    return runpy.run_path(str(CHECKOUT / "layers" / "package" / "budgets.py"))


def layer(proof: Proof, deployed: DeployedFunction) -> None:
    """Weigh the layer against its budgets."""
    client, due = proof.cloud.aws.client("lambda"), budgets()
    found = client.get_function(FunctionName=deployed.arn)["Configuration"]["Layers"]
    zipped = sum(one["CodeSize"] for one in found)
    unzipped = _size(deployed.opt)
    for what, size, most in (
        ("zipped", zipped, due["ZIPPED"]),
        ("unzipped", unzipped, due["UNZIPPED"]),
    ):
        proof.tell(
            f"the layer, {what}",
            f"{_mb(size)} of {_mb(most)} MB",
            true=0 < size <= most,
            expected=f"at most {_mb(most)} MB",
            instead=_mb(size),
        )


def function(proof: Proof, deployed: DeployedFunction) -> None:
    """Weigh a function, and start it cold."""
    client = proof.cloud.aws.client("lambda")
    zipped = client.get_function(FunctionName=deployed.arn)["Configuration"]["CodeSize"]
    own, together = _size(deployed.task), _size(deployed.task) + _size(deployed.opt)
    name = proof.logical(deployed.name)
    proof.tell(
        f"{name}, zipped and unzipped",
        f"{_mb(zipped)}, {_mb(own)}; with its layer {_mb(together)} of {_mb(LAMBDAS_UNZIPPED)} MB",
        true=0 < zipped <= own and together <= LAMBDAS_UNZIPPED,
        expected=f"at most {_mb(LAMBDAS_UNZIPPED)} MB with its layer",
    )
    with proof.cloud.running(deployed) as environment:
        seconds = environment.init_seconds
    proof.tell(
        f"{name}, its initialisation",
        f"of {LAMBDAS_INIT:g} s",
        true=seconds <= LAMBDAS_INIT,
        expected=f"at most {LAMBDAS_INIT:g} s",
        seconds=seconds,
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}" if size >= 1e5 else f"{size / 1e6:.3f}"
