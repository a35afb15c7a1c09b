"""A secret value, and the variable or the SSM parameter that holds it."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm_cache._doctor.finding import Finding, failed, unknown


@dataclass(frozen=True, slots=True)
class Located:
    """A value and its ``place``, which texts name; None: it is missing, or SSM does not give it.

    ``remedy`` is how to put another value there.
    """

    place: str
    value: str | None = field(repr=False)
    remedy: str
    in_ssm: bool = False

    def missing(self, check: str) -> Finding:
        """Return the finding of a check that needs the value; SSM has a finding of its own."""
        if self.in_ssm and self.value is None:
            return unknown(check, f"not checked: {self.place} is not readable")
        return failed(
            check, f"{self.place} is {'missing' if self.value is None else 'empty'}", self.remedy
        )
