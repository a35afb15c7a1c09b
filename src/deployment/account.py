"""Open the AWS account and the region of a command, or the local cloud."""

import os
from dataclasses import dataclass
from typing import Any, Self

from deployment.make_variables import LOCAL
from llm_cache._stack import terminal
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.stack_access import find_region, open_session
from local_cloud.aws.emulator import without_account
from local_cloud.checkout.source_tree import CHECKOUT_TREE


@dataclass(frozen=True, slots=True)
class Account:
    """Clients of AWS in one region."""

    region: str
    session: Any

    @classmethod
    def open(cls, config: str) -> Self:
        """Set the account and the region of this process and of its child processes.

        Asks for a missing region at a terminal; raises CommandFailure without one.
        """
        if config == LOCAL:
            _enter_local_cloud()
        session = open_session(find_region() or _asked_region())
        return cls(session.region_name, session)

    def client(self, service: str) -> Any:
        """Return a client of an AWS service."""
        return self.session.client(service)


def _asked_region() -> str | None:
    if not terminal.interactive():
        return None
    return terminal.ask("AWS region, such as eu-west-1 (or set AWS_REGION)")


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
