"""``run`` tells the story once, ``serve`` keeps everything up."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import time
from typing import TYPE_CHECKING, cast, get_args
from urllib.parse import urlsplit

from local_cloud.aws.emulator import KEY, REGION
from local_cloud.aws.sam import HERE
from local_cloud.cloud import LocalCloud
from local_cloud.model import ModelName
from local_cloud.story import scenario
from local_cloud.story.scenario import CAPITAL, Scenario
from local_cloud.story.table import Table
from upstash_endpoint.children import PartFailed

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> int:
    """Run the command line; the exit status is 1 when an expectation or a part failed."""
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
    """Deploy, tell the story, print the table, and name what did not come true."""
    began, model = time.monotonic(), _model()
    with LocalCloud.start(model=model) as cloud:
        table = Table(scenario.COLUMNS)
        table.print_heading()
        story = Scenario(cloud, table.print_row)
        story.run()
        calls, commands = cloud.model.calls, cloud.upstash.meter.read().commands
    print(f"\nThe model ({model}) was asked: {CAPITAL} It said: {story.answer}")
    seconds = time.monotonic() - began
    return story.end(
        f"{calls} calls of the model, {commands} commands of Redis, {seconds:.0f} s in all."
    )


def serve() -> int:
    """Deploy, say how to ask, and stay up until Ctrl-C."""
    with LocalCloud.start(model=_model()) as cloud, _served(cloud.aws.endpoint_url):
        print(f"\nThe stack is up. Ask it, once and once again:\n\n{_curl(cloud)}\n")
        print("or from another terminal, as make flush and make logs too:\n")
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
    """Tell the commands that are run with CONFIG=local where AWS is."""
    HERE.served.write_text(address)
    try:
        yield
    finally:
        HERE.served.unlink(missing_ok=True)


def _curl(cloud: LocalCloud) -> str:
    """Return a command that signs as AWS_IAM asks, to the address the URL has on loopback."""
    url = cloud.stack.outputs["AskUrl"] + "ask"
    body = shlex.quote(f'{{"question": "{CAPITAL}", "cache": {{"ttl": 60}}}}')
    return (
        f'curl -i --aws-sigv4 "aws:amz:{REGION}:lambda" --user {KEY}:{KEY} \\\n'
        f"  -H 'Host: {urlsplit(url).netloc}' -H 'Content-Type: application/json' \\\n"
        f"  -d {body} {cloud.stack.local(url)}"
    )


def _model() -> ModelName:
    chosen = os.environ.get("MODEL", "smollm2")
    if chosen not in get_args(ModelName):
        raise PartFailed(f"MODEL={chosen!r} is not accepted: {' or '.join(get_args(ModelName))}")
    return cast(ModelName, chosen)


if __name__ == "__main__":
    sys.exit(main())
