"""Runs the code blocks of one page in order, as a reader does who copies them one by one."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.repository.pages import ROOT, Block
from upstash_redis import Redis

NUMBER = re.compile(r"\d[\d.,]*")


@dataclass
class PageRun:
    """The blocks so far: the names that Python has, and the output of the last block.

    ``folders`` precede the others on ``PATH``. Commands run in ``folder``. ``numbers_vary``: a
    shown output need not have the same numbers.
    """

    environ: Mapping[str, str]
    folders: tuple[Path, ...] = ()
    folder: Path = ROOT
    numbers_vary: bool = False
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    output: str = ""

    def run(self, block: Block) -> None:
        """Run a block, or compare it with the output of the block before it."""
        languages = {
            "python": self._python,
            "sh": self._shell,
            "redis": self._redis,
            "text": self._compare,
        }
        languages[block.language](block)

    def close(self) -> None:
        """Close the clients that the page has opened."""
        for value in self.names.values():
            if isinstance(value, Redis):
                with value:
                    pass

    def _python(self, block: Block) -> None:
        lines = "\n" * block.line
        printed = StringIO()
        with patch.dict(os.environ, self.environ), redirect_stdout(printed):
            exec(compile(lines + block.text, str(block), "exec"), self.names)
        self.output = printed.getvalue()

    def _shell(self, block: Block) -> None:
        path = [*map(str, self.folders), str(Path(sys.executable).parent), os.environ["PATH"]]
        environ = {**os.environ, **self.environ, "PATH": os.pathsep.join(path)}
        command = ["bash", "-euo", "pipefail", "-c", block.text]
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}: {done.stdout}{done.stderr}"
        self.output = done.stdout

    def _redis(self, block: Block) -> None:
        """Run each line; ``TOKEN`` is what the line before it returned.

        The local endpoint has no ``ACL GENTOKEN``: any password is a token to it.
        """
        client = Redis(
            self.environ["UPSTASH_REDIS_REST_URL"], self.environ["UPSTASH_REDIS_REST_TOKEN"]
        )
        with client:
            last = ""
            for line in filter(None, block.text.splitlines()):
                words = re.sub(r"\bTOKEN\b", last, line).split()
                words = ["ACL", "GENPASS"] if words[:2] == ["ACL", "GENTOKEN"] else words
                reply = str(client.execute(words))
                last = last if reply == "OK" else reply

    def _compare(self, block: Block) -> None:
        """Compare by the rules of doctest: ``...`` stands for any text."""
        shown, output = block.text, self.output
        if self.numbers_vary:
            shown, output = NUMBER.sub("0", shown), NUMBER.sub("0", output)
        same = OutputChecker().check_output(shown, output, ELLIPSIS | NORMALIZE_WHITESPACE)
        assert same, f"{block} shows\n{block.text}The output is\n{self.output}"
