"""A process that is forked, or restored from a snapshot, connects anew."""

import subprocess
import sys

import pytest

from local_cloud.upstash import UpstashEndpoint

FORKED = """
import os, sys
from llm_cache.credentials import Credentials
from llm_cache.store import UpstashStore

def peer(store):
    (connection,) = store._client._http._client._transport._pool.connections
    return connection._connection._network_stream.get_extra_info("client_addr")

store = UpstashStore(lambda: Credentials(*sys.argv[1:]))
store.execute(("PING",), 5)
before = peer(store)
child = os.fork()
assert store.execute(("ECHO", f"{child}"), 5) == f"{child}"
assert (peer(store) == before) == (child != 0)
os._exit(0) if child == 0 else sys.exit(os.waitpid(child, 0)[1])
"""

RESTORED = """
import sys, types

hooks = []
runtime = types.ModuleType("snapshot_restore_py")
runtime.register_after_restore = hooks.append
sys.modules["snapshot_restore_py"] = runtime

from llm_cache.credentials import Credentials
from llm_cache.store import UpstashStore

located = []
store = UpstashStore(lambda: located.append(1) or Credentials(*sys.argv[1:]))
store.execute(("PING",), 5)
for hook in hooks:
    hook()
store.execute(("PING",), 5)
print(len(hooks), len(located))
"""


def run(script: str, upstash: UpstashEndpoint, **env: str) -> str:
    command = [sys.executable, "-W", "error", "-c", script, upstash.url, upstash.token]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_forked_process_leaves_its_parents_connections_alone(upstash: UpstashEndpoint) -> None:
    run(FORKED, upstash)


@pytest.mark.parametrize(
    ("kind", "told"), [("snap-start", "1 2"), ("on-demand", "0 1")], ids=["snapstart", "on demand"]
)
def test_a_restored_snapshot_connects_anew(upstash: UpstashEndpoint, kind: str, told: str) -> None:
    assert run(RESTORED, upstash, AWS_LAMBDA_INITIALIZATION_TYPE=kind).strip() == told
