"""What a stack has published: compared before and after a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.e2e.proof.inventory import account

from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack

if TYPE_CHECKING:
    from collections.abc import Mapping

# What says when something was done, not what it is.
_VOLATILE = {"LastModified", "RevisionId"}


@dataclass(frozen=True, slots=True)
class Published:
    """Equal before and after a deployment that changes nothing."""

    layers: frozenset[str]
    """All versions of layers that exist."""
    versions: frozenset[str]
    """All versions of functions that exist."""
    live: Mapping[str, Mapping[str, Any]]
    """What each function (its logical id) is by its alias: version, code's hash, settings."""
    resources: Mapping[str, tuple[str, str]]

    @classmethod
    def read(cls, stack: EmulatedStack) -> Self:
        """Read it as it is now."""
        now, client = EmulatedStack.read(stack.aws, stack.name), stack.aws.client("lambda")
        there = account(stack.aws)
        live = {}
        for function in now.functions:
            found = client.get_function(FunctionName=now.physical(function), Qualifier=ALIAS)
            told = found["Configuration"].items()
            live[function] = {name: value for name, value in told if name not in _VOLATILE}
        return cls(
            frozenset(there["AWS::Lambda::LayerVersion"]),
            frozenset(there["AWS::Lambda::Version"]),
            live,
            now.resources,
        )

    def versions_live(self) -> dict[str, int]:
        """Return the version that each function's alias names."""
        return {function: int(told["Version"]) for function, told in self.live.items()}

    def variables(self, function: str) -> Mapping[str, str]:
        """Return the environment that a function's alias has."""
        variables: Mapping[str, str] = self.live[function]["Environment"]["Variables"]
        return variables
