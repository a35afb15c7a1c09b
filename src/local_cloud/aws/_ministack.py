"""Run ministack with its functions in another interpreter: `python _ministack.py FUNCTIONS_PYTHON`.

ministack runs functions on `sys.executable`, beside its own packages. Theirs is the environment
that holds what AWS's Python runtime holds and nothing else, so a package missing from a layer is
missing here too. Its scheduler looks every ten seconds; here every second. What else differs from
AWS and matters here is put right below, by its own means.
"""

import json
import sys
from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import (  # type: ignore[import-not-found]
    apigateway,
    eventbridge,
    lambda_svc,
    scheduler,
)

_event = lambda_svc._build_function_url_event  # noqa: SLF001
_invoke_async = lambda_svc.invoke_async_with_retry
_concurrency = lambda_svc._sqs_esm_concurrency  # noqa: SLF001


def event_with_identity(*args: Any, anonymous: bool = False, **rest: Any) -> dict[str, Any]:
    """Say in a Function URL's event who signed, as AWS does and as its own HTTP API does."""
    event: dict[str, Any] = _event(*args, anonymous=anonymous, **rest)
    headers, query = args[5], args[7]
    iam = apigateway._iam_caller_identity_v2(headers, query)  # noqa: SLF001
    if iam and not anonymous:
        event["requestContext"]["authorizer"] = {"iam": iam}
    return event


def sqs_esm_concurrency(esm: dict[str, Any], *rest: Any) -> int:
    """Read as a number what a parameter of a template says: ministack keeps it as text."""
    scaling = {name: int(value) for name, value in esm.get("ScalingConfig", {}).items()}
    allowed: int = _concurrency({**esm, "ScalingConfig": scaling}, *rest)
    return allowed


def invoke_async(record: dict[str, Any], event: Any) -> None:
    """Retry, and tell of failure, as the invoked alias says: ministack reads that of $LATEST."""
    arn = record["config"]["FunctionArn"]
    name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)  # noqa: SLF001
    function = lambda_svc._functions[name]  # noqa: SLF001
    settings = lambda_svc._event_invoke_config(function, qualifier)  # noqa: SLF001
    _invoke_async({**record, "event_invoke_config": settings}, event)


def dispatch_to_lambda(arn: str, payload: str) -> None:
    """Let a schedule invoke asynchronously: ministack runs the function and drops what it raises.

    https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html
    """
    record, config, name = lambda_svc._get_func_record_for_ref(arn)  # noqa: SLF001
    if record is None:
        raise LookupError(f"the schedule's function {name} does not exist")
    invoke_async({**record, "config": {**config, "FunctionArn": arn}}, json.loads(payload))


sys.executable = sys.argv.pop(1)
scheduler._SCHEDULE_TICK_INTERVAL = 1  # noqa: SLF001
lambda_svc._build_function_url_event = event_with_identity  # noqa: SLF001
lambda_svc._sqs_esm_concurrency = sqs_esm_concurrency  # noqa: SLF001
lambda_svc.invoke_async_with_retry = invoke_async
eventbridge._dispatch_to_lambda = dispatch_to_lambda  # noqa: SLF001

main()
