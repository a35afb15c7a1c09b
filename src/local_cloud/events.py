"""Events as AWS delivers them to the functions."""

from __future__ import annotations

import base64
import json
from typing import Any


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
