"""Run ``llm-cache doctor`` and read what it prints."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from llm_cache._cli.main import main


@dataclass(frozen=True)
class Examined:
    """The exit code of a run, its findings, and everything that it printed."""

    code: int
    findings: list[dict[str, str]]
    printed: str

    @property
    def failed(self) -> dict[str, dict[str, str]]:
        """The failed findings by their checks."""
        return {it["check"]: it for it in self.findings if it["state"] == "failed"}

    def __getitem__(self, check: str) -> dict[str, str]:
        (found,) = [it for it in self.findings if it["check"] == check]
        return found

    @property
    def is_green(self) -> bool:
        return self.code == 0 and not self.failed


class Doctor:
    """Runs the command in this process, once for people and once as JSON."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Examined:
        self._capsys.readouterr()
        code = main(["doctor", *arguments])
        text = "".join(self._capsys.readouterr())
        again = main(["doctor", "--json", *arguments])
        out, err = self._capsys.readouterr()
        assert again == code
        assert err == ""
        findings: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
        assert code == int(any(it["state"] == "failed" for it in findings))
        assert len(text.splitlines()) == len(findings)  # one line a check
        return Examined(code, findings, text + out)
