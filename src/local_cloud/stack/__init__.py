"""The deployed stack, called as its users call it."""
