"""`make serve`: each printed command works in a fresh shell that has the printed variables."""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.error import HTTPError

import pytest

from local_cloud.checkout.tool_environments import CHECKOUT
from local_cloud.workbench import PLACES
from upstash_endpoint.children import wait_until

LAST = "Ctrl-C stops everything.\n"
EXAMPLE = re.compile(r"^# (.+)\n((?:(?!# ).+\n)+)", re.MULTILINE)
TOOLS = (f".tools/{tool}/.ready" for tool in ("sam", "aws", "model", "runtime"))
INSTALLED = (".venv/.uv", ".venv/.ready", *TOOLS)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a new terminal, whose `make` installs nothing."""
    folder = tmp_path_factory.mktemp("programs")
    ready = " ".join(f"-o {file}" for file in INSTALLED)
    make = folder / "make"
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} --no-print-directory {ready} "$@"\n')
    make.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}


def start(command: str, shell: Mapping[str, str], errors: IO[bytes]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", "-c", command],
        env=shell,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    )


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C, which reaches every process of the terminal."""
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def printed(shell: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `make serve` prints, while it runs."""
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("wb") as errors, start("MODEL=echo make serve", shell, errors) as process:
        assert process.stdout
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line == LAST:
                break
        assert LAST in lines, log.read_text()
        yield "".join(lines)
        interrupt(process)


def exports(printed: str) -> str:
    return "".join(re.findall(r"^export .+\n", printed, re.MULTILINE))


def command(printed: str, word: str) -> str:
    """Return the printed command that contains a word."""
    (found,) = [text for _, text in EXAMPLE.findall(printed) if word in text]
    return str(found)


def run(printed: str, shell: Mapping[str, str], word: str) -> str:
    """Run a printed command after the printed variables; return its output."""
    done = subprocess.run(
        ["bash", "-c", exports(printed) + command(printed, word)],
        env=shell,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_variables_are_printed_before_five_commands(printed: str) -> None:
    assert printed.lstrip().startswith("export UPSTASH_REDIS_REST_URL=http://127.0.0.1:")
    assert "export UPSTASH_REDIS_REST_TOKEN=local-token\n" in printed
    assert "export LLM_CACHE_STACK=llm-cache\n" in printed
    assert len(EXAMPLE.findall(printed)) == 5


def test_ports_are_fixed_unless_taken(printed: str, shell: Mapping[str, str]) -> None:
    found = re.findall(r"_URL=http://127.0.0.1:(\d+)", printed)
    assert len(found) == 2
    if found != [str(PLACES.upstash), str(PLACES.aws)]:
        pytest.skip("another program has one of the ports")


def test_second_question_by_curl_is_a_hit(printed: str, shell: Mapping[str, str]) -> None:
    replies = [run(printed, shell, "/ask").splitlines()[-1] for _ in range(2)]
    assert [json.loads(reply)["cache"]["status"] for reply in replies] == ["miss", "hit"]


def test_question_by_make_is_answered(printed: str, shell: Mapping[str, str]) -> None:
    assert run(printed, shell, "make ask").splitlines()[-1].startswith(("miss", "hit"))


def test_logs_follow_the_functions(printed: str, shell: Mapping[str, str], tmp_path: Path) -> None:
    run(printed, shell, "make ask")
    text = exports(printed) + command(printed, "make logs")
    with (tmp_path / "log").open("wb") as errors, start(text, shell, errors) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("llm-cache-")
        interrupt(process)


def test_command_line_reads_the_cache(printed: str, shell: Mapping[str, str]) -> None:
    assert run(printed, shell, "llm-cache stats")


def test_uploaded_document_is_summarized(printed: str, shell: Mapping[str, str]) -> None:
    run(printed, shell, "documents/report.txt")
    (address,) = re.findall(r"its summary appears at (\S+)", printed)

    def written() -> bool:
        try:
            with urllib.request.urlopen(address, timeout=10) as summary:
                return "The bridge is closed" in json.load(summary)["summary"]
        except HTTPError:
            return False

    wait_until(written, seconds=120, what="the summary")
