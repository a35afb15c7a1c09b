"""The artifacts of a build are reported while it runs."""

import sys
from pathlib import Path

from local_cloud.aws.build_log import report_artifacts
from upstash_endpoint.children import Child, wait_until

BUILD = """
import sys, time
from pathlib import Path

print("Building layer", flush=True)
print("==> the layer for arm64", end="", flush=True)
print(": 42.4 MB (a remark for deployments)", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
print("==> AskFunction for arm64: 11.3 MB")
print("Build Succeeded")
"""
LAYER, FUNCTION = "the layer for arm64: 42.4 MB", "AskFunction for arm64: 11.3 MB"


def test_artifact_is_reported_before_the_build_ends(tmp_path: Path) -> None:
    reported: list[str] = []
    go_on = tmp_path / "go on"

    def report(line: str) -> None:
        reported.append(line)
        go_on.touch()  # without it, the build does not end

    argv, log = [sys.executable, "-c", BUILD, str(go_on)], tmp_path / "build.log"
    with Child.start("the build", argv, log=log) as build:
        report_artifacts(build, report)
    assert reported == [LAYER, FUNCTION]


def test_line_that_is_still_being_written_is_not_reported(tmp_path: Path) -> None:
    reported: list[str] = []
    log = tmp_path / "build.log"
    argv = [sys.executable, "-c", "print('==> the layer: 42.', end='')"]
    with Child.start("the build", argv, log=log) as build:
        wait_until(lambda: not build.running, seconds=60, what="the end of the build")
        report_artifacts(build, reported.append)
    assert reported == []
