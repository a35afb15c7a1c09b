"""Prove the deployment: the real `sam`, the emulated AWS, and AWS's own runtime client."""
