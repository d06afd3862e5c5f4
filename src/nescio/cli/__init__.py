"""The command line: one file a command, shared options once, no maths."""

from nescio.cli.main import app, main

__all__ = ["app", "main"]
