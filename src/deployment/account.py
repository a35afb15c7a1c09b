"""Open the AWS account and the region of a command, or the local cloud."""

import os
import re
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config

from deployment.make_variables import LOCAL
from llm_cache._stack import terminal
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.aws.emulator import without_account
from local_cloud.checkout.source_tree import CHECKOUT_TREE

FLUSH_SECONDS = 310  # longer than the function's timeout
# A retry would invoke a function twice.
ONCE = Config(read_timeout=FLUSH_SECONDS, retries={"total_max_attempts": 1})
REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")


@dataclass(frozen=True, slots=True)
class Account:
    """Clients of AWS in one region."""

    region: str
    session: boto3.Session

    @classmethod
    def open(cls, config: str) -> Self:
        """Set the account and the region of this process and of its child processes.

        Asks for a missing region at a terminal; raises CommandFailure without one.
        """
        if config == LOCAL:
            _enter_local_cloud()
        region = _region()
        # boto3 and sam read AWS_DEFAULT_REGION, AWS's newer tools AWS_REGION.
        os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
        return cls(region, boto3.Session())

    def client(self, service: str) -> Any:
        """Return a client that sends each request once."""
        return self.session.client(service, config=ONCE)


def _region() -> str:
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    region = named or boto3.Session().region_name  # of the profile
    if not region and terminal.interactive():
        region = terminal.ask("AWS region, such as eu-west-1 (or set AWS_REGION)")
    if not region:
        raise CommandFailure("AWS_REGION is missing: set it to a region, such as eu-west-1")
    if not REGION.fullmatch(region):
        raise CommandFailure(f"AWS_REGION={region} is not a region: use a name such as eu-west-1")
    return region


def _enter_local_cloud() -> None:
    try:
        endpoint = CHECKOUT_TREE.served.read_text().strip()
    except FileNotFoundError:
        raise CommandFailure(
            f"CONFIG={LOCAL} needs a running local cloud: start `make serve` in another terminal"
        ) from None
    changed = without_account(os.environ) | {"AWS_ENDPOINT_URL": endpoint}
    os.environ.clear()
    os.environ.update(changed)
