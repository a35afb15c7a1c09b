"""Forked processes and restored snapshots open their own connections."""

import subprocess
import sys

import pytest

from upstash_endpoint.endpoint import UpstashEndpoint

FORKED = """
import os, sys
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

def peer(store):
    ((connection, _),) = store._client._blocking._idle
    return connection.socket.getsockname()

store = UpstashStore(lambda: Credentials(*sys.argv[1:]))
store.execute(("PING",), 5)
before = peer(store)
child = os.fork()
assert store.execute(("ECHO", f"{child}"), 5) == f"{child}"
assert (peer(store) == before) == (child != 0)
os._exit(0) if child == 0 else sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

RESTORED = """
import sys, types

hooks = []
runtime = types.ModuleType("snapshot_restore_py")
runtime.register_after_restore = hooks.append
sys.modules["snapshot_restore_py"] = runtime

from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

located = []
store = UpstashStore(lambda: located.append(1) or Credentials(*sys.argv[1:]))
store.execute(("PING",), 5)
for hook in hooks:
    hook()
store.execute(("PING",), 5)
print(len(hooks), len(located))
"""


def run_script(script: str, upstash: UpstashEndpoint, **env: str) -> str:
    command = [sys.executable, "-W", "error", "-c", script, upstash.url, upstash.token]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=99, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_forked_process_opens_its_own_connection(upstash: UpstashEndpoint) -> None:
    run_script(FORKED, upstash)


@pytest.mark.parametrize(("kind", "hooks_and_reads"), [("snap-start", "1 2"), ("on-demand", "0 1")])
def test_restored_snapshot_reads_its_secrets_again(
    upstash: UpstashEndpoint, kind: str, hooks_and_reads: str
) -> None:
    printed = run_script(RESTORED, upstash, AWS_LAMBDA_INITIALIZATION_TYPE=kind)
    assert printed.strip() == hooks_and_reads
