"""What ends a command with a sentence, and not with a traceback."""


class Failure(Exception):
    """A command cannot go on; the message says why, and what to do."""
