"""Check a deployed stack: its status, its functions, and the layer that they use."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llm_cache._doctor.finding import Finding, failed, passed, unknown
from llm_cache._doctor.time_limit import within
from llm_cache._errors import InvalidSettings
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.stack_access import StackAccess
from llm_cache._upstash.aws_environment import region_of
from llm_cache._version import __version__

STACK, LAYER, FUNCTION = "stack", "layer", "function"
SECONDS = 6.0  # for each request to AWS, with the credentials
OUTPUTS = ("AskFunctionName", "FlushFunctionName", "SummarizeFunctionName")
ALIAS = "live"
LIBRARY = re.compile(r"lambda-llm-cache ([\w.+-]+)")
WELL = ("Active", "Inactive")  # Inactive: not called for long; the next call starts it


def open_stack(name: str) -> tuple[Finding, StackAccess | None]:
    """Return the stack of this name, or None with the reason. One request."""
    try:
        access = within(SECONDS, lambda: StackAccess.open(name))
        access.variables  # noqa: B018  raises without the output of the namespace
    except (InvalidSettings, CommandFailure) as error:
        return failed(STACK, f"{name} cannot be used", str(error)), None
    except Exception as error:  # noqa: BLE001  of boto3, or a time that is over
        return failed(STACK, f"{name} cannot be read", _explain(error)), None
    return _judge_status(name, access.stack.status), access


def _judge_status(name: str, status: str) -> Finding:
    if status.endswith("_FAILED") or status.startswith("DELETE"):
        return failed(STACK, f"{name} is {status}", f"make deploy STACK={name}")
    return passed(STACK, f"{name} is {status}")


def check_layer(access: StackAccess) -> Finding:
    """Compare the library in the stack's layer with this one. One request."""
    arn = access.stack.outputs.get("LayerArn", "")
    try:
        reply = _request(access, lambda client: client.get_layer_version_by_arn(Arn=arn))
    except Exception as error:  # noqa: BLE001  shown
        return unknown(LAYER, f"version unknown: {_explain(error)}")
    found = LIBRARY.match(reply.get("Description", ""))
    if not found:
        return unknown(LAYER, f"version unknown: {_short(arn)} does not name its library")
    text = f"{_short(arn)} has lambda-llm-cache {found[1]}"
    if found[1] == __version__:
        return passed(LAYER, text)
    remedy = f'make deploy STACK={access.stack.name}, or pip install "lambda-llm-cache=={found[1]}"'
    return failed(LAYER, f"{text}, this is {__version__}", remedy)


def check_functions(access: StackAccess) -> Iterator[Finding]:
    """Yield the state of each function, and whether it uses the stack's layer.

    One request for each.
    """
    for name in (access.stack.outputs.get(output) for output in OUTPUTS):
        if name:
            yield _check_function(access, name)


def _check_function(access: StackAccess, name: str) -> Finding:
    try:
        found = _request(
            access,
            lambda client: client.get_function_configuration(FunctionName=name, Qualifier=ALIAS),
        )
    except Exception as error:  # noqa: BLE001  shown
        return unknown(FUNCTION, f"{name}: {_explain(error)}")
    return _judge_function(access, name, found)


def _judge_function(access: StackAccess, name: str, found: Mapping[str, Any]) -> Finding:
    state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
    deploy = f"make deploy STACK={access.stack.name}"
    if state not in WELL or update == "Failed":
        reason = (
            found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
        )
        return failed(FUNCTION, f"{name} is {state}, last update {update}: {reason}", deploy)
    layers = [layer["Arn"] for layer in found.get("Layers", [])]
    newest = access.stack.outputs.get("LayerArn")
    if layers and newest not in layers:
        text = (
            f"{name} uses {', '.join(map(_short, layers))}, not the stack's {_short(str(newest))}"
        )
        return failed(FUNCTION, text, deploy)
    return passed(FUNCTION, f"{name} is {state}, version {found.get('Version')}")


def _request(access: StackAccess, call: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    return within(SECONDS, lambda: call(access.client("lambda")))


def _short(arn: str) -> str:
    """Return the name and the version of a layer."""
    return ":".join(arn.split(":")[-2:])


def _explain(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "AWS did not reply in time; check the network and the region"
    from llm_cache._stack.aws_errors import explain

    return explain(error, region_of(os.environ))
