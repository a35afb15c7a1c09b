"""Read and check the variables of `make deploy CONFIG=prod STACK=shop` and other commands."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from deployment import parameter_overrides
from deployment.samconfig import FILE, deploy_settings
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.checkout.template_parameters import Declared, declared_parameters

# CloudFormation's rule for names. The stack's SSM parameters may not begin with aws or ssm.
STACK = re.compile(r"(?!aws|ssm)[a-z][a-z0-9-]{0,127}", re.IGNORECASE)
LEFTOVERS = ("delete", "keep")
LOCAL = "local"
"""The value of CONFIG that selects the cloud of `make serve`."""


@dataclass(frozen=True)
class MakeVariables:
    """The variables of the environment, each checked when a command reads it.

    Raises CommandFailure, which names the variable, its value and the accepted values.
    """

    environ: Mapping[str, str]

    def _value(self, name: str) -> str:
        return self.environ.get(name, "").strip()

    @property
    def config(self) -> str:
        """The environment of samconfig.toml."""
        return self._value("CONFIG") or "dev"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of that environment."""
        return deploy_settings(self.config)

    @property
    def stack(self) -> str:
        """The stack's name: STACK, or the name in samconfig.toml."""
        name = self._value("STACK") or self.settings["stack_name"]
        if not STACK.fullmatch(name):
            raise CommandFailure(
                f"STACK={name}: use at most 128 letters, digits and hyphens; begin with a letter,"
                " not with aws or ssm"
            )
        return str(name)

    @cached_property
    def declared(self) -> Declared:
        """The parameters that template.yaml declares."""
        return declared_parameters(CHECKOUT_TREE.template)

    @cached_property
    def chosen(self) -> dict[str, str]:
        """The parameters in samconfig.toml and PARAMETERS; the latter take precedence."""
        configured = self.settings.get("parameter_overrides", "")
        return {
            **parameter_overrides.parse(f"{FILE.name} [{self.config}]", configured, self.declared),
            **parameter_overrides.parse("PARAMETERS", self._value("PARAMETERS"), self.declared),
        }

    def local(self) -> Self:
        """Return the variables for the stack of `make serve`; raise for another CONFIG."""
        if self._value("CONFIG") not in {"", LOCAL}:
            raise CommandFailure(
                f"CONFIG={self.config}: make dev changes the stack of make serve alone; use"
                " make deploy for others"
            )
        return type(self)({**self.environ, "CONFIG": LOCAL})

    @property
    def function(self) -> str:
        """The name of a function, such as flush_cache; empty if FUNCTION is not set."""
        return self._value("FUNCTION")

    @property
    def event(self) -> str:
        """The event of `make invoke`: EVENT, or the content of the file that it names, as JSON."""
        event = self._value("EVENT")
        if not event:
            raise CommandFailure(
                "EVENT is missing: use JSON, or a file such as"
                f" EVENT=functions/{self.function or 'ask'}/event.json"
            )
        try:
            text = event if event[0] in "{[" else Path(event).read_text(encoding="utf-8")
            json.loads(text)
        except (OSError, ValueError) as error:
            raise CommandFailure(f"EVENT is neither JSON nor a file of JSON: {error}") from None
        return text

    @property
    def question(self) -> str:
        """The question of `make ask`."""
        if not self._value("QUESTION"):
            raise CommandFailure('QUESTION is missing: make ask QUESTION="Who was Ada Lovelace?"')
        return self._value("QUESTION")

    @property
    def tag(self) -> str:
        """The tag to flush; empty for all entries."""
        return self._value("TAG")

    @property
    def minutes(self) -> float:
        """The number of minutes of the log to print."""
        minutes = self._value("MINUTES") or "15"
        if not re.fullmatch(r"\d{1,6}(\.\d+)?", minutes):
            raise CommandFailure(f"MINUTES={minutes}: use a number of minutes, such as 15")
        return float(minutes)

    @property
    def follow(self) -> bool:
        """Whether to print new log lines."""
        return self._switch("FOLLOW")

    @property
    def yes(self) -> bool:
        """Whether to delete without a question."""
        return self._switch("YES")

    @property
    def leftovers(self) -> str:
        """Whether to delete or keep the resources of a deleted stack; empty to ask."""
        leftovers = self._value("LEFTOVERS")
        if leftovers and leftovers not in LEFTOVERS:
            raise CommandFailure(f"LEFTOVERS={leftovers}: use {' or '.join(LEFTOVERS)}")
        return leftovers

    def make(self, command: str) -> str:
        """Return the command line of a make target for the same stack."""
        return f"make {command} CONFIG={self.config} STACK={self.stack}"

    def _switch(self, name: str) -> bool:
        value = self._value(name)
        if value not in {"", "1"}:
            raise CommandFailure(f"{name}={value}: use 1, or leave it empty")
        return value == "1"
