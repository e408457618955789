"""A process that sees other files of the system than its machine has: other names, or another machine's."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from shutil import which

import pytest


def as_root(*command: str) -> list[str]:
    """The command, to be run with root's rights where this is not root."""
    return [*command] if os.geteuid() == 0 else ["sudo", "-n", *command]


def permitted(*command: str) -> bool:
    """Whether the command can be run here, and succeeds."""
    return which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def seeing(files: Mapping[str, Path]) -> list[str]:
    """A command through which another one is run, with these files in the place of the system's.

    The test is skipped where a process may not be given files of its own.
    """
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    binds = [f"mount --bind {there} {path}" for path, there in files.items()]
    run = " && ".join([*binds, 'exec "$@"'])
    command = ["unshare", *root, "--mount", "--propagation", "private", "sh", "-c", run, "sh"]
    if not permitted(*command, "true"):
        pytest.skip("a process may not be given files of its own here")
    return command
