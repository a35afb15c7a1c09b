"""The commands of AWS's command line that the pages show, by boto3."""

import json
import sys
import time
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

WAIT_SECONDS = 120


def value(text: str, kind: str) -> Any:
    """Read a text, JSON, or the shorthand ``Key=value,…`` of a list with one object."""
    if kind == "string":
        return text
    if text.startswith(("{", "[")):
        return json.loads(text)
    return [dict(pair.split("=") for pair in text.split(","))]


def copy(source: str, target: str) -> None:
    s3 = boto3.client("s3")
    if target.startswith("s3://"):
        bucket, _, key = target.removeprefix("s3://").partition("/")
        s3.upload_file(source, bucket, key)
    else:
        bucket, _, key = source.removeprefix("s3://").partition("/")
        print(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def wait_for_object(arguments: dict[str, Any]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            boto3.client("s3").head_object(**arguments)
        except ClientError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return


def main(service: str, operation: str, *words: str) -> None:
    if (service, operation) == ("s3", "cp"):
        return copy(*words)
    waiting = operation == "wait"
    pairs = words[1:] if waiting else words
    client = boto3.client(service.removesuffix("api"))
    method = "head_object" if waiting else operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    members = model.input_shape.members
    names = {f"--{xform_name(name, '-')}": name for name in members}
    names["--notification-endpoint"] = "Endpoint"
    arguments = {
        names[option]: value(text, members[names[option]].type_name)
        for option, text in zip(pairs[::2], pairs[1::2], strict=True)
    }
    if waiting:
        return wait_for_object(arguments)
    print(json.dumps(getattr(client, method)(**arguments), default=str))
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
