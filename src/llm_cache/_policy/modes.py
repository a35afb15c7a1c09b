"""How an invocation uses the cache, and which callers share one model call."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How an invocation uses the cache."""

    USE = "use"
    """Read; store a computed answer."""
    REFRESH = "refresh"
    """Compute the answer and overwrite the stored one."""
    READ_ONLY = "read_only"
    """Read; store nothing."""
    BYPASS = "bypass"
    """Neither read nor store."""
    ONLY_IF_CACHED = "only_if_cached"
    """Read; raise ``CacheMiss`` instead of calling the model."""

    @property
    def reads(self) -> bool:
        """Whether the cache may return a stored answer."""
        return self in (Mode.USE, Mode.READ_ONLY, Mode.ONLY_IF_CACHED)

    @property
    def stores(self) -> bool:
        """Whether the cache may store a computed answer."""
        return self in (Mode.USE, Mode.REFRESH)

    @classmethod
    def of(cls, *, reads: bool, stores: bool) -> Mode:
        """Return the mode, other than ``ONLY_IF_CACHED``, that reads and stores as requested."""
        if reads:
            return cls.USE if stores else cls.READ_ONLY
        return cls.REFRESH if stores else cls.BYPASS

    def __and__(self, other: Mode) -> Mode:
        """Return the mode that does what both modes do; ``ONLY_IF_CACHED`` wins."""
        if Mode.ONLY_IF_CACHED in (self, other):
            return Mode.ONLY_IF_CACHED
        return Mode.of(reads=self.reads and other.reads, stores=self.stores and other.stores)


class Coalesce(StrEnum):
    """Which callers share one model call for equal requests (single flight)."""

    OFF = "off"
    """None: each caller calls the model."""
    PROCESS = "process"
    """The threads and tasks of this process."""
    FLEET = "fleet"
    """Every process that uses the database."""
