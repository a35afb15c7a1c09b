"""AWS on loopback: the emulator, and the real `sam` that deploys to it."""
