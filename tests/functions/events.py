"""Events as Lambda delivers them, and its context."""

import base64
import json
from typing import Any


class Context:
    """What Lambda passes beside the event."""

    function_name = "ask"
    function_version = "1"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ask:live"
    aws_request_id = "6f2d1ab0-0000-4000-8000-000000000000"

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def signed_by(caller: str = "AIDAALICE", account: str = "111122223333") -> dict[str, Any]:
    """Return what a Function URL with AWS_IAM tells of who signed."""
    return {
        "accessKey": "AKIAEXAMPLE",
        "accountId": account,
        "callerId": caller,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:iam::{account}:user/example",
        "userId": caller,
    }


def function_url(
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    iam: object = None,
) -> dict[str, Any]:
    """Return a Function URL's event, payload format 2.0, as AWS_IAM has it."""
    text = body if isinstance(body, str) else json.dumps(body)
    host = "abc.lambda-url.us-east-1.on.aws"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": host, "content-type": "application/json", **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "authorizer": {"iam": signed_by() if iam is None else iam},
            "domainName": host,
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
            },
            "requestId": "request-1",
            "stage": "$default",
            "timeEpoch": 1763862000000,
        },
        "body": base64.b64encode(text.encode()).decode(),
        "isBase64Encoded": True,
    }
