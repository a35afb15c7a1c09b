"""Imported by the fork server: every operation has run once before it forks a process."""

from tests.faults.killable_process import warm_up

warm_up()
