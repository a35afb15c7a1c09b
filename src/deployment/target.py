"""What a deployment is for: the Python and the processor of the layer and the functions.

Build and deployment must name the same. CloudFormation keeps the parameters that it is not given,
so a target is that of the deployed stack unless another one is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_cloud.aws.template import defaults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deployment.parameters import Declared

TARGET = ("Runtime", "Architecture")


def values(
    declared: Declared, deployed: Mapping[str, str], chosen: Mapping[str, str]
) -> dict[str, str]:
    """Return every parameter as it will be: as chosen, else as deployed, else the default."""
    kept = {name: value for name, value in deployed.items() if name in declared}
    return {**defaults(declared), **kept, **chosen}


def overrides(
    declared: Declared, deployed: Mapping[str, str], chosen: Mapping[str, str]
) -> dict[str, str]:
    """Return what to give `sam build` and `sam deploy`: the target, and what was chosen."""
    all_of_them = values(declared, deployed, chosen)
    return {name: all_of_them[name] for name in (*TARGET, *chosen)}


def told(deployed: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Return the target in words, and what it replaces."""
    return ", ".join(
        given[name]
        if deployed.get(name, given[name]) == given[name]
        else f"{given[name]} instead of {deployed[name]}"
        for name in TARGET
    )
