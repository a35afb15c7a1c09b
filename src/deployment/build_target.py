"""Choose the Python and the processor of the layer and the functions.

Build and deployment need equal values. An update keeps the parameters that are not passed, so the
target of the deployed stack is kept unless another is chosen.
"""

from collections.abc import Mapping

from local_cloud.checkout.template_parameters import Declared, default_values

TARGET = ("Runtime", "Architecture")


def values(
    declared: Declared, deployed: Mapping[str, str], chosen: Mapping[str, str]
) -> dict[str, str]:
    """Return the value of every parameter: chosen, else deployed, else default."""
    kept = {name: value for name, value in deployed.items() if name in declared}
    return {**default_values(declared), **kept, **chosen}


def overrides(
    declared: Declared, deployed: Mapping[str, str], chosen: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters for `sam build` and `sam deploy`: the target and the chosen ones."""
    found = values(declared, deployed, chosen)
    return {name: found[name] for name in (*TARGET, *chosen)}


def description(deployed: Mapping[str, str], target: Mapping[str, str]) -> str:
    """Describe the target and the values that it replaces."""
    return ", ".join(
        target[name]
        if deployed.get(name, target[name]) == target[name]
        else f"{target[name]} instead of {deployed[name]}"
        for name in TARGET
    )
