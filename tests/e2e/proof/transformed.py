"""Apply AWS's own SAM translator to a template."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_cloud.aws.emulator import REGION
from local_cloud.checkout.tool_environments import interpreter
from local_cloud.stack.emulated_stack import EmulatedStack
from upstash_endpoint.children import PartFailed

_TRANSLATE = Path(__file__).with_name("_translate.py")


def transformed(template: str, parameters: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return the transform of a SAM template in YAML or JSON; no account is needed.

    Raises PartFailed, with the translator's output, for an invalid template.
    """
    done = subprocess.run(
        [interpreter("sam"), str(_TRANSLATE)],
        input=json.dumps([template, dict(parameters)]),
        env={"AWS_DEFAULT_REGION": REGION},  # all that the translator needs of AWS
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PartFailed(f"SAM's translator: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def due(stack: EmulatedStack) -> dict[str, str]:
    """Return the resource types in the stack's deployed template, by logical id."""
    client = stack.aws.client("cloudformation")
    body = client.get_template(StackName=stack.name, TemplateStage="Original")["TemplateBody"]
    described = client.describe_stacks(StackName=stack.name)["Stacks"][0]["Parameters"]
    values = {item["ParameterKey"]: item["ParameterValue"] for item in described}
    template = transformed(body if isinstance(body, str) else json.dumps(body), values)
    conditions = template.get("Conditions", {})
    return {
        logical: resource["Type"]
        for logical, resource in template["Resources"].items()
        if "Condition" not in resource or holds(resource["Condition"], conditions, values)
    }


def holds(name: str, conditions: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Return whether a condition of a template holds for these parameter values."""

    def value(of: Any) -> Any:
        match of:
            case {"Fn::Not": [inner]}:
                found: Any = not value(inner)
            case {"Fn::And": all_of}:
                found = all(map(value, all_of))
            case {"Fn::Or": any_of}:
                found = any(map(value, any_of))
            case {"Fn::Equals": [left, right]}:
                found = value(left) == value(right)
            case {"Condition": other}:
                found = value(conditions[other])
            case {"Ref": parameter} if parameter in values:
                found = values[parameter]
            case str() | int():
                found = str(of)
            case _:
                raise PartFailed(f"condition {name}: {of} is not supported here")
        return found

    return bool(value(conditions[name]))
