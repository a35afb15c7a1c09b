"""A stack of the kit: CloudFormation's replies, and moto for every other service."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch
from urllib.parse import parse_qs

from moto import mock_aws
from tests.http_server import Request, http_server

from llm_cache._stack.deployed_stack import KIT_PARAMETERS

STACK, REGION = "shop", "eu-west-1"
GROUPS = {name: f"/aws/lambda/{STACK}-{name}" for name in ("ask", "summarize")}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
}


@contextmanager
def deployed(ask_url: str, parameters: Mapping[str, str] = {}) -> Iterator[None]:
    """Direct this process to an account in which the stack ``shop`` is deployed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    values = {**dict.fromkeys(KIT_PARAMETERS, f"/{STACK}/value"), **parameters}
    stack = (
        f"<member><StackName>{STACK}</StackName><StackStatus>CREATE_COMPLETE</StackStatus>"
        f"<Parameters>{_pairs('Parameter', values)}</Parameters>"
        f"<Outputs>{_pairs('Output', {'AskUrl': ask_url, 'CacheNamespace': STACK})}</Outputs>"
        "</member>"
    )

    def cloudformation(request: Request) -> tuple[int, dict[str, str], bytes]:
        form = parse_qs(request.body.decode())
        if form["Action"] == ["ListStackResources"]:
            return _reply("ListStackResources", "StackResourceSummaries", _resources())
        if form.get("StackName", [STACK]) != [STACK]:
            return 400, {}, _UNKNOWN
        return _reply("DescribeStacks", "Stacks", stack)

    with http_server(cloudformation) as url:
        here = ENVIRONMENT | {"AWS_ENDPOINT_URL_CLOUDFORMATION": url}
        with patch.dict(os.environ, kept | here, clear=True), mock_aws():
            yield


_UNKNOWN = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
    b"<Message>Stack with id other does not exist</Message></Error></ErrorResponse>"
)


def _reply(action: str, name: str, members: str) -> tuple[int, dict[str, str], bytes]:
    result = f"<{action}Result><{name}>{members}</{name}></{action}Result>"
    return 200, {}, f"<{action}Response>{result}</{action}Response>".encode()


def _pairs(kind: str, values: Mapping[str, str]) -> str:
    return "".join(
        f"<member><{kind}Key>{name}</{kind}Key><{kind}Value>{value}</{kind}Value></member>"
        for name, value in values.items()
    )


def _resources() -> str:
    return "".join(
        f"<member><PhysicalResourceId>{group}</PhysicalResourceId>"
        "<ResourceType>AWS::Logs::LogGroup</ResourceType></member>"
        for group in GROUPS.values()
    )
