"""Clients of the deployed stack, and the events that AWS sends to its functions."""
