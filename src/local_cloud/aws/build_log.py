"""Report what `sam build` has built, while it runs."""

import time
from collections.abc import Callable

from upstash_endpoint.children import Child

MARK = "==> "
"""Begins the line that layers/package prints for each artifact, with its sizes."""
_POLL_SECONDS = 0.1


def report_artifacts(build: Child, report: Callable[[str], None]) -> None:
    """Report each artifact with its sizes when it is built; return when sam has ended.

    The remark in brackets, on the release of Python, matters to deployments only.
    """
    reported, running = 0, True
    while running:
        running = build.running  # before the log is read, so that no line is missed
        lines = build.log.read_text(errors="replace").splitlines(keepends=True)
        artifacts = [line for line in lines if line.startswith(MARK) and line.endswith("\n")]
        for line in artifacts[reported:]:
            report(line.removeprefix(MARK).rstrip().partition(" (")[0])
        reported = len(artifacts)
        if running:
            time.sleep(_POLL_SECONDS)
