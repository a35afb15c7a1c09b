"""Run ministack with its functions in another interpreter: `python _ministack.py FUNCTIONS_PYTHON`.

ministack runs functions on `sys.executable`, beside its own packages. Theirs is the environment
that holds what AWS's Python runtime holds and nothing else, so a package missing from a layer is
missing here too. Its scheduler looks every ten seconds; here every second. And the event of a
Function URL says who signed the request, as AWS's does and as its own HTTP API's does.
"""

import sys
from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import apigateway, lambda_svc, scheduler  # type: ignore[import-not-found]

sys.executable = sys.argv.pop(1)
scheduler._SCHEDULE_TICK_INTERVAL = 1  # noqa: SLF001
_event = lambda_svc._build_function_url_event  # noqa: SLF001


def _event_with_identity(*args: Any, anonymous: bool = False, **rest: Any) -> dict[str, Any]:
    event: dict[str, Any] = _event(*args, anonymous=anonymous, **rest)
    headers, query = args[5], args[7]
    iam = apigateway._iam_caller_identity_v2(headers, query)  # noqa: SLF001
    if iam and not anonymous:
        event["requestContext"]["authorizer"] = {"iam": iam}
    return event


lambda_svc._build_function_url_event = _event_with_identity  # noqa: SLF001

main()
