"""Build events in the form in which AWS sends them to functions."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus


def signed_by(caller: str = "AIDAALICE", account: str = "111122223333") -> dict[str, Any]:
    """Return the identity of the signer, as a Function URL with AWS_IAM reports it."""
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
    """Return a Function URL's event in payload format 2.0, with AWS_IAM."""
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
    """Return an SQS batch; `ttl` is the messages' attribute `cache-ttl`."""
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
    bucket: str, key: str, version: str | None = None, *, event: str = "ObjectCreated:Put"
) -> dict[str, Any]:
    """Return the notification that S3 sends to a queue for an object."""
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
                "eventName": event,
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": named,
                },
            }
        ]
    }


S3_TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "documents"}
"""The message that S3 sends to a queue once, when notifications are configured; no object."""
