"""Run the local cloud: `run` prints one scenario, `serve` keeps everything up until Ctrl-C."""

import argparse
import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterator
from typing import cast, get_args
from urllib.parse import urlsplit

from local_cloud.aws.emulator import KEY, REGION
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.cloud import LocalCloud
from local_cloud.model.model_process import ModelName
from local_cloud.scenario.main_scenario import CAPITAL, COLUMNS, MainScenario
from local_cloud.scenario.result_table import ResultTable
from local_cloud.stack.ask_client import ask_url
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
    """Deploy, print how to call the stack, and stay up until Ctrl-C."""
    with LocalCloud.start(model=_model()) as cloud, _served(cloud.aws.endpoint_url):
        print(f"\nThe stack is up. Send a question, twice:\n\n{_curl(cloud)}\n")
        print("or in another terminal, where make flush and make logs work too:\n")
        print(f'make ask CONFIG=local QUESTION="{CAPITAL}"\n')
        print(f"Upstash  {cloud.upstash.url}  token {cloud.upstash.token}")
        print(f"AWS      {cloud.aws.endpoint_url}\n\nCtrl-C stops everything.", flush=True)
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


def _curl(cloud: LocalCloud) -> str:
    """Return a curl command that signs the request and sends it to loopback."""
    url = ask_url(cloud.stack)
    body = shlex.quote(f'{{"question": "{CAPITAL}", "cache": {{"ttl": 60}}}}')
    return (
        f'curl -i --aws-sigv4 "aws:amz:{REGION}:lambda" --user {KEY}:{KEY} \\\n'
        f"  -H 'Host: {urlsplit(url).netloc}' -H 'Content-Type: application/json' \\\n"
        f"  -d {body} {cloud.stack.local(url)}"
    )


def _model() -> ModelName:
    chosen, names = os.environ.get("MODEL", "smollm2"), get_args(ModelName)
    if chosen not in names:
        raise PartFailed(f"MODEL={chosen!r} is not accepted: use {' or '.join(names)}")
    return cast(ModelName, chosen)


if __name__ == "__main__":
    sys.exit(main())
