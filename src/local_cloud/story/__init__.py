"""The main job, run step by step and printed."""
