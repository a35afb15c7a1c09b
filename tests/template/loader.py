"""Read template.yaml as data: `!Ref X` becomes `{"Ref": "X"}`, as in a JSON template."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
Template = dict[str, Any]
Properties = dict[str, Any]


class _Loader(yaml.SafeLoader):
    pass


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> Template:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return {name: text.split(".", 1) if suffix == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def load(path: Path = ROOT / "template.yaml") -> Template:
    loaded: Template = yaml.load(path.read_text(), _Loader)
    return loaded


def resources(template: Template, kind: str) -> dict[str, Template]:
    """Return the resources whose type ends with `kind`, by logical ID."""
    found = template["Resources"].items()
    return {key: resource for key, resource in found if resource["Type"].endswith(f"::{kind}")}


def functions(template: Template) -> dict[str, Properties]:
    """Return the properties of each function, with those in Globals."""
    shared = template.get("Globals", {}).get("Function", {})
    own = resources(template, "Serverless::Function")
    return {key: _merge(shared, function["Properties"]) for key, function in own.items()}


def _merge(shared: Any, own: Any) -> Any:
    if isinstance(shared, dict) and isinstance(own, dict) and not _is_intrinsic(own):
        return {key: _merge(shared.get(key), own.get(key)) for key in {**shared, **own}}
    if isinstance(shared, list) and isinstance(own, list):
        return shared + own
    return shared if own is None else own


def _is_intrinsic(value: Template) -> bool:
    return any(key == "Ref" or key.startswith("Fn::") for key in value)


def environment(function: Properties) -> dict[str, Any]:
    variables: dict[str, Any] = function.get("Environment", {}).get("Variables", {})
    return variables


def references(value: Any) -> Iterator[str]:
    """Yield each logical ID that a value names in a Ref, GetAtt or Sub."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _named_by(key, inner)


def _named_by(key: str, inner: Any) -> Iterator[str]:
    if key == "Ref":
        yield inner
    elif key == "Fn::GetAtt":
        yield inner[0]
    elif key == "Fn::Sub":
        yield from (part.split("}")[0].split(".")[0] for part in inner.split("${")[1:])
    else:
        yield from references(inner)
