"""Run the local cloud: `run` prints one scenario, `serve` keeps everything up until Ctrl-C."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import cast, get_args

from local_cloud import workbench
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.cloud import LocalCloud
from local_cloud.model.model_process import ModelName
from local_cloud.progress import to_stderr
from local_cloud.scenario.main_scenario import CAPITAL, COLUMNS, MainScenario
from local_cloud.scenario.result_table import ResultTable
from upstash_endpoint.children import PartFailed


def main() -> int:
    """Run the command line; the exit status is 1 if an expectation or a process failed."""
    parser = argparse.ArgumentParser("local_cloud", description=__doc__)
    parser.add_argument("command", choices=["run", "serve"])
    command = {"run": run, "serve": serve}[parser.parse_args().command]
    try:
        return command()
    except PartFailed as failed:
        print(f"local_cloud: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run() -> int:
    """Deploy, run the scenario, print its table, and name each failed expectation."""
    began, model = time.monotonic(), _model()
    with LocalCloud.start(model=model) as cloud:
        table = ResultTable(COLUMNS)
        table.print_heading()
        scenario = MainScenario(cloud, table.print_row)
        scenario.run()
        calls, commands = cloud.model.calls, cloud.upstash.meter.read().commands
    print(f"\nQuestion to the model ({model}): {CAPITAL} Its answer: {scenario.answer}")
    seconds = time.monotonic() - began
    return scenario.end(f"{calls} model calls, {commands} Redis commands, {seconds:.0f} s in total")


def serve() -> int:
    """Deploy, print variables and commands for another terminal, and stay up until Ctrl-C."""
    with (
        LocalCloud.start(model=_model(), places=workbench.PLACES) as cloud,
        _served(cloud.aws.endpoint_url),
    ):
        print(f"\n{workbench.instructions(cloud)}", flush=True)
        for line in workbench.moved(cloud):
            to_stderr(line)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)
                cloud.check()
    return 0


@contextlib.contextmanager
def _served(address: str) -> Iterator[None]:
    """Publish the address of the emulated AWS to commands with CONFIG=local."""
    CHECKOUT_TREE.served.write_text(address)
    try:
        yield
    finally:
        CHECKOUT_TREE.served.unlink(missing_ok=True)


def _model() -> ModelName:
    chosen, names = os.environ.get("MODEL", "smollm2"), get_args(ModelName)
    if chosen not in names:
        raise PartFailed(f"MODEL={chosen!r} is not accepted: use {' or '.join(names)}")
    return cast(ModelName, chosen)


if __name__ == "__main__":
    sys.exit(main())
