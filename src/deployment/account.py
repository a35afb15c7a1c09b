"""The AWS account and region that a command works in: the environment's, or the local cloud."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from deployment import terminal
from deployment.failure import Failure
from local_cloud.aws.emulator import without_account
from local_cloud.aws.sam import HERE

LOCAL = "local"
"""The value of CONFIG that means the cloud of `make serve`."""
FLUSH_SECONDS = 310  # a little more than the function may take
# Nothing is invoked twice because an answer was late.
ONCE = Config(read_timeout=FLUSH_SECONDS, retries={"total_max_attempts": 1})
REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")


@dataclass(frozen=True, slots=True)
class Account:
    """Clients of AWS in one region."""

    region: str
    session: boto3.Session

    @classmethod
    def open(cls, config: str) -> Account:
        """Choose the account and the region for this process and for what it starts.

        Asks for a region where none is set, if there is a terminal; raises Failure otherwise.
        """
        if config == LOCAL:
            _enter_local_cloud()
        region = _region()
        # boto3 and sam read the one, AWS's newer tools the other.
        os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
        return cls(region, boto3.Session())

    def client(self, service: str) -> Any:
        """Return a client that sends each request once."""
        return self.session.client(service, config=ONCE)


def _region() -> str:
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    region = named or boto3.Session().region_name  # of the profile
    if not region and terminal.present():
        region = terminal.typed("AWS region, such as eu-west-1 (or set AWS_REGION)")
    if not region:
        raise Failure("AWS_REGION is missing: set it to a region, such as AWS_REGION=eu-west-1")
    if not REGION.fullmatch(region):
        raise Failure(f"AWS_REGION={region} is not a region: one is named as in eu-west-1")
    return region


def _enter_local_cloud() -> None:
    try:
        endpoint = HERE.served.read_text().strip()
    except FileNotFoundError:
        raise Failure(
            f"CONFIG={LOCAL} is the cloud of `make serve`, which is not up: start it in another"
            " terminal"
        ) from None
    changed = without_account(os.environ) | {"AWS_ENDPOINT_URL": endpoint}
    os.environ.clear()
    os.environ.update(changed)
