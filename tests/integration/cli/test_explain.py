"""The command explain on files and on standard input."""

import io
import json
from pathlib import Path

import pytest
from tests.command_line import Run
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

SECRET = "the secret of a customer"
LLM = "model"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two bodies of ask that differ in a parameter and in a text."""
    names = []
    for number, temperature in enumerate((0, 0.2)):
        body = {"question": f"{SECRET} {number}", "parameters": {"temperature": temperature}}
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(body))
        names.append(str(path))
    return names


def test_differences_are_named_and_texts_withheld(files: list[str], run: Run) -> None:
    code, out, err = run("explain", *files)
    assert (code, err, SECRET in out) == (1, "", False)
    assert "parameters.temperature: 0.0 ≠ 0.2\n" in out
    code, out, _ = run("explain", *files, "--values")
    assert (code, f'"{SECRET} 0" ≠ "{SECRET} 1"' in out) == (1, True)


def test_equal_keys_exit_with_0_and_name_other_reasons(files: list[str], run: Run) -> None:
    code, out, _ = run("explain", files[0], files[0])
    assert (code, "the keys are equal" in out) == (0, True)


def test_json_has_the_differences(files: list[str], run: Run) -> None:
    found = json.loads(run("explain", *files, "--json")[1])
    assert found["same_key"] is False
    assert "parameters.temperature" in [each["path"] for each in found["differences"]]


def test_minus_reads_standard_input(
    files: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(Path(files[0]).read_text()))
    assert run("explain", "-", files[0])[0] == 0
    code, _, err = run("explain", "-", "-")
    assert (code, "A.json is standard input" in err) == (2, True)


def test_results_of_explain_are_compared(redis: Redis, tmp_path: Path, run: Run) -> None:
    cache = UpstashRedisCache(redis, namespace="shell")
    names = []
    for prompt in ("one", "two"):
        path = tmp_path / f"{prompt}.json"
        path.write_text(json.dumps(cache.explain(prompt, LLM)))
        names.append(str(path))
    assert run("explain", *names)[0] == 1
    assert run("explain", names[0], names[0])[0] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("{\n", "not JSON at line 2"),
        ("[" * 100_000, "not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "neither a body of ask"),
    ],
)
def test_file_that_is_no_call_is_one_line_and_exit_code_2(
    files: list[str], tmp_path: Path, run: Run, text: str | None, why: str
) -> None:
    path = tmp_path / "other.json"
    if text is not None:
        path.write_text(text)
    code, out, err = run("explain", files[0], str(path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert why in err
