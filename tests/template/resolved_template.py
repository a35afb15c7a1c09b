"""The template as CloudFormation resolves it for given parameter values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.e2e.proof.transformed import holds
from tests.template import loader
from tests.template.loader import Properties, Template

# Unlike any literal that the template might contain.
PSEUDO = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "us-gov-west-1",
    "AWS::AccountId": "444455556666",
    "AWS::StackName": "this-stack",
}
ABSENT = object()


@dataclass(frozen=True)
class ResolvedTemplate:
    """Conditions, parameters and pseudo parameters have values; other references remain."""

    source: Template
    choices: Mapping[str, str]
    """The parameters that do not have their default."""

    @cached_property
    def values(self) -> dict[str, str]:
        declared = self.source["Parameters"].items()
        defaults = {name: str(parameter["Default"]) for name, parameter in declared}
        return PSEUDO | defaults | dict(self.choices)

    @cached_property
    def resources(self) -> dict[str, Template]:
        """The resources that are created, by logical ID."""
        merged = {
            name: {**self.source["Resources"][name], "Properties": properties}
            for name, properties in loader.functions(self.source).items()
        }
        found = {**self.source["Resources"], **merged}.items()
        return {name: self._resolve(it) for name, it in found if self._created(it)}

    def of_type(self, kind: str) -> dict[str, Properties]:
        """Return the properties of the resources whose type ends with `kind`."""
        found = loader.resources({"Resources": self.resources}, kind).items()
        return {name: resource.get("Properties", {}) for name, resource in found}

    @property
    def functions(self) -> dict[str, Properties]:
        return self.of_type("Serverless::Function")

    def _created(self, resource: Template) -> bool:
        return "Condition" not in resource or self._holds(resource["Condition"])

    def _holds(self, condition: str) -> bool:
        return holds(condition, self.source["Conditions"], self.values)

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [it for it in map(self._resolve, value) if it is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            return self._call(*next(iter(value.items())))
        resolved = {key: self._resolve(inner) for key, inner in value.items()}
        return {key: inner for key, inner in resolved.items() if inner is not ABSENT}

    def _call(self, name: str, argument: Any) -> Any:
        match name, argument:
            case "Fn::If", [condition, then, otherwise]:
                result = self._resolve(then if self._holds(condition) else otherwise)
            case "Ref", "AWS::NoValue":
                result = ABSENT
            case "Ref", parameter if parameter in self.values:
                number = self.source["Parameters"].get(parameter, {}).get("Type") == "Number"
                result = int(self.values[parameter]) if number else self.values[parameter]
            case "Fn::Sub", text:
                text = re.sub(r"\$\{([\w:]+)\}", lambda it: self.values.get(it[1], it[0]), text)
                result = {"Fn::Sub": text} if "${" in text else text
            case "Fn::Split", [separator, inner]:
                result = self._resolve(inner).split(separator)
            case _:
                inner = self._resolve(argument)
                result = {} if inner is ABSENT else {name: inner}
        return result
