"""What `make serve` prints: variables and commands for another terminal."""

import shlex
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from local_cloud.aws.emulator import KEY, REGION
from local_cloud.cloud import LocalCloud, Places
from local_cloud.scenario.main_scenario import CAPITAL
from local_cloud.stack.ask_client import ask_url
from upstash_endpoint.defaults import PORT, TOKEN
from upstash_endpoint.serve import export_lines

# The same every time, so that a shell's history and settings stay valid. 4566 is the usual port of
# AWS emulators.
PLACES = Places(aws=4566, upstash=PORT, model=8078, token=TOKEN)
_CURL = f'curl --aws-sigv4 "aws:amz:{REGION}:%s" --user {KEY}:{KEY}'
_DOCUMENT = "The bridge is closed until Monday. The ferry runs every hour."


class Example(NamedTuple):
    """A command for a shell, and what it does."""

    what: str
    command: str


def instructions(cloud: LocalCloud) -> str:
    """Return the lines that `make serve` prints when the stack is up."""
    examples = "\n".join(f"# {what}\n{command}" for what, command in _examples(cloud))
    return (
        f"{export_lines(variables(cloud))}\n\n"
        "The stack is up. Copy the lines above to another terminal, then any of these:\n\n"
        f"{examples}\n\nCtrl-C stops everything."
    )


def variables(cloud: LocalCloud) -> Mapping[str, str]:
    """Return the variables with which `llm-cache` and AWS's tools reach the cloud."""
    return {
        "UPSTASH_REDIS_REST_URL": cloud.upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": cloud.upstash.token,
        "LLM_CACHE_NAMESPACE": cloud.stack.outputs["CacheNamespace"],
        "LLM_CACHE_STACK": cloud.stack.name,
        "AWS_ENDPOINT_URL": cloud.aws.endpoint_url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def moved(cloud: LocalCloud) -> list[str]:
    """Return a line for each process whose usual port is taken."""
    places = {
        "AWS": (PLACES.aws, cloud.aws.endpoint_url),
        "Upstash": (PLACES.upstash, cloud.upstash.url),
        "the model": (PLACES.model, cloud.model.url),
    }
    return [
        f"port {port} is taken: {name} is at {url} this time"
        for name, (port, url) in places.items()
        if urlsplit(url).port != port
    ]


def _examples(cloud: LocalCloud) -> list[Example]:
    url = ask_url(cloud.stack)
    host, body = urlsplit(url).netloc, f'{{"question": "{CAPITAL}", "cache": {{"ttl": 60}}}}'
    files = f"{cloud.aws.endpoint_url}/{cloud.stack.outputs['DocumentsBucket']}"
    return [
        Example(
            "ask twice: the second answer comes from the cache",
            f"{_CURL % 'lambda'} -i \\\n"
            f"  -H 'Host: {host}' -H 'Content-Type: application/json' \\\n"
            f"  -d {shlex.quote(body)} {cloud.stack.local(url)}",
        ),
        Example("the same without curl", f'make ask CONFIG=local QUESTION="{CAPITAL}"'),
        Example("the functions' logs, until Ctrl-C", "make logs CONFIG=local FOLLOW=1"),
        Example("what the cache holds", ".venv/bin/llm-cache stats"),
        Example(
            f"a document; its summary appears at {files}/summaries/documents/report.txt.json",
            f"{_CURL % 's3'} -X PUT -H 'Content-Type: text/plain' \\\n"
            f"  -d {shlex.quote(_DOCUMENT)} {files}/documents/report.txt",
        ),
    ]
