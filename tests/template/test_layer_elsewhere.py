"""What the README shows of the layer in other stacks names what this one publishes."""

import ast
import re
import tomllib

import pytest
import yaml
from tests.template.loader import ROOT, load, resources

README = (ROOT / "README.md").read_text()
SHOWN = ("yaml", "python", "hcl")
STACK = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]


def shown(language: str) -> str:
    """Return the one block of a language that names the layer's parameter."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (found,) = (text for text in blocks if "layer-arn" in text)
    return found


@pytest.mark.parametrize("language", SHOWN)
def test_it_is_found_where_the_template_publishes_it(language: str) -> None:
    (published,) = (
        it["Properties"]["Name"]["Fn::Sub"] for it in resources(load(), "SSM::Parameter").values()
    )
    name = published.replace("${AWS::StackName}", STACK["stack_name"])
    assert re.findall(r"/[\w-]+/layer-arn", shown(language)) == [name]


@pytest.mark.parametrize("language", SHOWN)
def test_three_lines_are_enough(language: str) -> None:
    assert len([line for line in shown(language).splitlines() if line]) <= 3


def test_sam_and_cdk_are_shown_in_what_can_be_read_as_such() -> None:
    assert list(yaml.safe_load(shown("yaml"))) == ["Layers"]
    calls = [node for node in ast.walk(ast.parse(shown("python"))) if isinstance(node, ast.Call)]
    called = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    assert called == {"value_for_string_parameter", "from_layer_version_arn", "add_layers"}
