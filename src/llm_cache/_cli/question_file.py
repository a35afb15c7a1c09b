"""A file of questions: one JSON value a line, read line by line."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from llm_cache._errors import InvalidSettings

LONGEST = 6 * 2**20  # bytes of a line: Lambda accepts no longer request
SHOWN = 10  # invalid lines in an error
ACCEPTED = 'a JSON string, or an object with "question" as `POST /ask` takes it'


class Question(NamedTuple):
    """The number of a line, and the body of its request."""

    line: int
    body: bytes


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """The questions of an open file, at any size of the file."""

    name: str
    file: IO[bytes]

    def check(self, first: int) -> int:
        """Return the number of questions from line ``first`` on.

        Raises ``InvalidSettings`` with the numbers of invalid lines, and nothing of their text.
        """
        count, invalid, shown = 0, 0, list[str]()
        for line, text in self._lines(first):
            try:
                _fields(text)
                count += 1
            except ValueError as error:
                invalid += 1
                shown += [f"line {line}: {error}"] if invalid <= SHOWN else []
        if invalid:
            more = f"; and {invalid - SHOWN:,} more lines" if invalid > SHOWN else ""
            accepted = f"each line is {ACCEPTED}. {'; '.join(shown)}{more}. Nothing was sent"
            raise InvalidSettings("FILE", self.name, accepted)
        return count

    def questions(self, first: int) -> Iterator[Question]:
        """Yield the questions from line ``first`` on."""
        for line, text in self._lines(first):
            yield Question(line, json.dumps(_fields(text)).encode())

    def _lines(self, first: int) -> Iterator[tuple[int, bytes]]:
        """Yield the numbers and texts of lines that are not blank."""
        self.file.seek(0)
        number = 0
        while text := self.file.readline(LONGEST + 1):
            number += 1
            if len(text) > LONGEST:
                self._skip_rest()
            if number >= first and text.strip():
                yield number, text

    def _skip_rest(self) -> None:
        while (text := self.file.readline(LONGEST)) and not text.endswith(b"\n"):
            pass


@contextmanager
def open_questions(name: str) -> Iterator[QuestionFile]:
    """Open a file; raise ``InvalidSettings``. ``-`` is stdin, which is copied to a file first."""
    with _copy_of_stdin() if name == "-" else _opened(name) as file:
        yield QuestionFile(name, file)


def _opened(name: str) -> IO[bytes]:
    try:
        return open(name, "rb")  # noqa: PTH123  the caller closes it
    except OSError as error:
        raise InvalidSettings("FILE", name, f"a file of questions ({error.strerror})") from None


def _copy_of_stdin() -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(sys.stdin.buffer, file)
    return file


def _fields(text: bytes) -> dict[str, Any]:
    """Return the fields of the request; raise ``ValueError``, which does not quote the text."""
    if len(text) > LONGEST:
        raise ValueError(f"longer than {LONGEST:,} bytes")
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.colno}") from None
    except (UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON in UTF-8") from None
    match parsed:
        case str() if parsed.strip():
            return {"question": parsed}
        case {"question": str(question)} if question.strip():
            return dict(parsed)
    raise ValueError("no question")
