"""Deploy each saved change to the stack of `make serve`."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployment import live_code
from deployment.source_part import LAYER, SourcePart, State
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.progress import to_stderr

POLL_SECONDS = 0.3


@dataclass(slots=True)
class DevLoop:
    """The watched parts, the physical names of the functions, and the states last deployed."""

    client: Any
    parts: Sequence[SourcePart]
    functions: Mapping[str, str]
    target: Mapping[str, str]
    _states: dict[str, State] = field(default_factory=dict)
    _builds: dict[str, State] = field(default_factory=dict)

    def run(self) -> None:
        """Deploy what differs from the stack, then each change, until Ctrl-C."""
        while True:
            for part in self.changed():
                self.update(part)
            time.sleep(POLL_SECONDS)

    def changed(self) -> Iterable[SourcePart]:
        """Yield the parts whose modules have changed since the last call, at first all."""
        for part in self.parts:
            build = part.build_state()
            if build != self._builds.setdefault(part.name, build):
                self._builds[part.name] = build
                to_stderr(f"{part.name}: a lock file or a Makefile has changed: restart make serve")
            state = part.state()
            if state != self._states.get(part.name):
                self._states[part.name] = state
                yield part

    def update(self, part: SourcePart) -> None:
        """Deploy a part if it differs from the stack; print what happened, also a failure."""
        began = time.monotonic()
        try:
            version = self._deploy(part)
        except CommandFailure as failure:
            to_stderr(f"{failure}\n==> the stack keeps the version before")
            return
        done = f"version {version} is live" if version else "up to date"
        to_stderr(f"{part.name}: {done} ({time.monotonic() - began:.1f} s)")

    def _deploy(self, part: SourcePart) -> str:
        if part.name == LAYER:
            functions = self.functions.values()
            return live_code.update_layer(self.client, part, functions, self.target)
        function = self.functions[part.name]
        return live_code.update_function(self.client, part, function, self.target)
