"""Events as AWS delivers them to the functions."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote_plus


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


def messages(*bodies: object, ttl: str | None = None) -> dict[str, Any]:
    """Return the event of a batch of SQS messages; ``ttl`` is their attribute ``cache-ttl``."""
    attributes = {} if ttl is None else {"cache-ttl": {"stringValue": ttl, "dataType": "Number"}}
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": attributes,
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:documents",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies, 1)
        ]
    }


def uploaded(
    bucket: str, key: str, version: str | None = None, *, what: str = "ObjectCreated:Put"
) -> dict[str, Any]:
    """Return what S3 tells a queue of an object."""
    named: dict[str, Any] = {"key": quote_plus(key, safe="/"), "size": 1, "sequencer": "0A1B2C3D"}
    if version:
        named["versionId"] = version
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": "2025-11-23T00:00:00.000Z",
                "eventName": what,
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": named,
                },
            }
        ]
    }


TEST_OF_S3 = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "documents"}
"""What S3 sends to a queue when it is told to send there; it names no object."""
