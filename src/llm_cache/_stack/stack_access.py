"""A deployed stack of the kit, with what a command needs of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llm_cache._errors import InvalidSettings
from llm_cache._stack.command_failure import CommandFailure

if TYPE_CHECKING:
    from llm_cache._stack.deployed_stack import DeployedStack

REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
MISSING_REGION = "AWS_REGION is missing: set it to a region, such as eu-west-1"


@dataclass(frozen=True, slots=True)
class StackAccess:
    """A stack and boto3's session in its region."""

    session: Any
    stack: DeployedStack

    @classmethod
    def open(cls, name: str) -> Self:
        """Find the stack of this name; raise ``CommandFailure`` with the names of others."""
        session = open_session()
        from llm_cache._stack.deployed_stack import DeployedStack

        return cls(session, DeployedStack.read(session.client("cloudformation"), name))

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of the functions by which they find the database.

        The token is that of ``flush_cache``, which may read and delete every entry.
        """
        parameters = self.stack.parameters
        token = parameters.get("UpstashFlushTokenParameter") or parameters["UpstashTokenParameter"]
        found = {
            "LLM_CACHE_URL_PARAMETER": parameters["UpstashUrlParameter"],
            "LLM_CACHE_TOKEN_PARAMETER": token,
            "LLM_CACHE_SIGNING_KEY_PARAMETER": parameters.get("SigningKeyParameter", ""),
            "LLM_CACHE_ENCRYPTION_KEY_PARAMETER": parameters.get("EncryptionKeyParameter", ""),
            "LLM_CACHE_NAMESPACE": self.stack.output("CacheNamespace"),
        }
        return {name: value for name, value in found.items() if value}

    def client(self, service: str) -> Any:
        """Return a client of an AWS service in the stack's region."""
        return self.session.client(service)


def open_session(region: str | None = None) -> Any:
    """Return boto3's session in a region; this process and its children use the region too.

    It is by default the region of ``find_region``. Raises ``InvalidSettings`` without boto3, and
    ``CommandFailure`` without a valid region.
    """
    boto3, region = _boto3(), region or find_region()
    if not region:
        raise CommandFailure(MISSING_REGION)
    if not REGION.fullmatch(region):
        raise CommandFailure(f"AWS_REGION={region} is not a region: use a name such as eu-west-1")
    # boto3 and sam read AWS_DEFAULT_REGION, AWS's newer tools AWS_REGION.
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
    return boto3.Session()


def find_region() -> str | None:
    """Return the region of the environment, else of the profile."""
    return os.environ.get("AWS_REGION") or _boto3().Session().region_name


def _boto3() -> Any:
    try:
        import boto3
    except ImportError:
        needed = "a stack needs boto3: pip install 'lambda-llm-cache[cli,aws]'"
        raise InvalidSettings("boto3", None, needed) from None
    return boto3
