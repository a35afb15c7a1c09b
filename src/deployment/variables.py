"""The variables of a command, as in ``make deploy CONFIG=prod STACK=shop``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deployment import parameters
from deployment.config import FILE, deploy_settings
from deployment.failure import Failure
from local_cloud.aws.sam import HERE
from local_cloud.aws.template import parameters as declared_in

if TYPE_CHECKING:
    from collections.abc import Mapping

# As CloudFormation names stacks. Each has a parameter in SSM, which keeps aws and ssm to itself.
STACK = re.compile(r"(?!aws|ssm)[a-z][a-z0-9-]{0,127}", re.IGNORECASE)
LEFTOVERS = ("delete", "keep")


@dataclass(frozen=True)
class Variables:
    """What the environment says, each variable checked when a command reads it.

    Raises Failure, which names the variable, its value and what is accepted.
    """

    environ: Mapping[str, str]

    def _given(self, name: str) -> str:
        return self.environ.get(name, "").strip()

    @property
    def config(self) -> str:
        """The environment of samconfig.toml."""
        return self._given("CONFIG") or "dev"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What samconfig.toml says of that environment."""
        return deploy_settings(self.config)

    @property
    def stack(self) -> str:
        """The stack's name: STACK, or the name in samconfig.toml."""
        name = self._given("STACK") or self.settings["stack_name"]
        if not STACK.fullmatch(name):
            raise Failure(
                f"STACK={name}: a stack's name has letters, digits and hyphens, at most 128, begins"
                " with a letter, and neither with aws nor with ssm"
            )
        return str(name)

    @cached_property
    def declared(self) -> parameters.Declared:
        """The parameters that template.yaml declares."""
        return declared_in(HERE.template)

    @cached_property
    def chosen(self) -> dict[str, str]:
        """The template's parameters that samconfig.toml or PARAMETERS names; the latter win."""
        configured = self.settings.get("parameter_overrides", "")
        return {
            **parameters.parsed(f"{FILE.name} [{self.config}]", configured, self.declared),
            **parameters.parsed("PARAMETERS", self._given("PARAMETERS"), self.declared),
        }

    @property
    def question(self) -> str:
        """The question to ask."""
        if not self._given("QUESTION"):
            raise Failure('QUESTION is missing: make ask QUESTION="What is the capital of France?"')
        return self._given("QUESTION")

    @property
    def tag(self) -> str:
        """The tag to flush; empty for all answers."""
        return self._given("TAG")

    @property
    def minutes(self) -> float:
        """How many minutes of the log to print."""
        given = self._given("MINUTES") or "15"
        if not re.fullmatch(r"\d{1,6}(\.\d+)?", given):
            raise Failure(f"MINUTES={given}: a number of minutes is accepted, such as 15")
        return float(given)

    @property
    def follow(self) -> bool:
        """Whether to go on printing the log."""
        return self._switch("FOLLOW")

    @property
    def yes(self) -> bool:
        """Whether to delete without a question."""
        return self._switch("YES")

    @property
    def leftovers(self) -> str:
        """What becomes of what a deleted stack leaves: one of LEFTOVERS, or empty to ask."""
        given = self._given("LEFTOVERS")
        if given and given not in LEFTOVERS:
            raise Failure(f"LEFTOVERS={given}: accepted are {' and '.join(LEFTOVERS)}")
        return given

    def make(self, command: str) -> str:
        """Return the command that does something to the same stack."""
        return f"make {command} CONFIG={self.config} STACK={self.stack}"

    def _switch(self, name: str) -> bool:
        given = self._given(name)
        if given not in {"", "1"}:
            raise Failure(f"{name}={given}: accepted is 1, or nothing")
        return given == "1"
