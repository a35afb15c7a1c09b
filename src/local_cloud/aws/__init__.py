"""The emulated AWS, and the real `sam` that deploys to it."""
