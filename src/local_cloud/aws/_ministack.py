"""Run ministack with its functions in another interpreter: `python _ministack.py FUNCTIONS_PYTHON`.

ministack runs functions on `sys.executable`, which also holds its own packages. FUNCTIONS_PYTHON
holds only the packages of AWS's Python runtime, so a package missing from a layer is missing here
too. The patches below remove differences from AWS that matter to this project.
"""

import itertools
import json
import sys
from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import (  # type: ignore[import-not-found]
    apigateway,
    cloudwatch,
    cloudwatch_logs,
    eventbridge,
    lambda_svc,
    scheduler,
)

_event = lambda_svc._build_function_url_event  # noqa: SLF001
_invoke_async = lambda_svc.invoke_async_with_retry
_append = cloudwatch_logs._append_log_events  # noqa: SLF001
_concurrency = lambda_svc._sqs_esm_concurrency  # noqa: SLF001


def event_with_identity(*args: Any, anonymous: bool = False, **rest: Any) -> dict[str, Any]:
    """Add the signer's identity to a Function URL's event, as AWS does."""
    event: dict[str, Any] = _event(*args, anonymous=anonymous, **rest)
    headers, query = args[5], args[7]
    iam = apigateway._iam_caller_identity_v2(headers, query)  # noqa: SLF001
    if iam and not anonymous:
        event["requestContext"]["authorizer"] = {"iam": iam}
    return event


def sqs_esm_concurrency(esm: dict[str, Any], *rest: Any) -> int:
    """Convert scaling settings to numbers: ministack keeps a template parameter's value as text."""
    scaling = {name: int(value) for name, value in esm.get("ScalingConfig", {}).items()}
    allowed: int = _concurrency({**esm, "ScalingConfig": scaling}, *rest)
    return allowed


def invoke_async(record: dict[str, Any], event: Any) -> None:
    """Apply the retry settings of the invoked alias: ministack applies those of $LATEST."""
    arn = record["config"]["FunctionArn"]
    name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)  # noqa: SLF001
    function = lambda_svc._functions[name]  # noqa: SLF001
    settings = lambda_svc._event_invoke_config(function, qualifier)  # noqa: SLF001
    _invoke_async({**record, "event_invoke_config": settings}, event)


def dispatch_to_lambda(arn: str, payload: str) -> None:
    """Invoke a schedule's function asynchronously: ministack calls it and drops its exceptions.

    https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html
    """
    record, config, name = lambda_svc._get_func_record_for_ref(arn)  # noqa: SLF001
    if record is None:
        raise LookupError(f"the schedule's function {name} does not exist")
    invoke_async({**record, "config": {**config, "FunctionArn": arn}}, json.loads(payload))


def append_log_events(stream: Any, events: list[dict[str, Any]]) -> None:
    """Store lines, and the metrics in them: ministack ignores CloudWatch's embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    _append(stream, events)
    for event in events:
        if event["message"].startswith('{"_aws"'):
            _store_metrics(json.loads(event["message"]))


def _store_metrics(line: dict[str, Any]) -> None:
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names, metric in itertools.product(directive["Dimensions"], directive["Metrics"]):
            value = line[metric["Name"]]
            cloudwatch._store_datum(  # noqa: SLF001
                directive["Namespace"],
                metric["Name"],
                {name: line[name] for name in names},
                line["_aws"]["Timestamp"] / 1000,
                metric.get("Unit", "None"),
                None,
                value if isinstance(value, list) else [value],
                None,
                None,
            )


sys.executable = sys.argv.pop(1)
scheduler._SCHEDULE_TICK_INTERVAL = 1  # noqa: SLF001 - seconds; its default is 10
lambda_svc._build_function_url_event = event_with_identity  # noqa: SLF001
lambda_svc._sqs_esm_concurrency = sqs_esm_concurrency  # noqa: SLF001
lambda_svc.invoke_async_with_retry = invoke_async
cloudwatch_logs._append_log_events = append_log_events  # noqa: SLF001
eventbridge._dispatch_to_lambda = dispatch_to_lambda  # noqa: SLF001

main()
