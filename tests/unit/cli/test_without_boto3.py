"""Commands on a database need no boto3; commands on a stack name the extra that has it."""

import os
import subprocess
import sys

import pytest

# Python finds neither package, as if they were not installed.
RUN = """
import sys
sys.modules["boto3"] = sys.modules["botocore"] = None
from llm_cache._cli.main import main
sys.exit(main(sys.argv[1:]))
"""
DATABASE = {
    "UPSTASH_REDIS_REST_URL": "http://127.0.0.1:9",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "LLM_CACHE_NAMESPACE": "shop",
}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["clear", "--yes"], "no connection to Upstash"),
        (["clear", "--yes", "--stack", "shop"], "pip install 'lambda-llm-cache[cli,aws]'"),
        (["ask", "Who?", "--stack", "shop"], "pip install 'lambda-llm-cache[cli,aws]'"),
        (["tail", "--stack", "shop"], "pip install 'lambda-llm-cache[cli,aws]'"),
    ],
)
def test_boto3_is_needed_for_a_stack_only(arguments: list[str], error: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env=os.environ | DATABASE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {2, 3}
    assert (done.stderr.count("\n"), error in done.stderr) == (1, True), done.stderr
