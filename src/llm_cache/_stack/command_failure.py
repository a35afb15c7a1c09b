"""The error that ends a command with a message instead of a traceback."""


class CommandFailure(Exception):
    """A command cannot continue; the message names the cause and the remedy."""
