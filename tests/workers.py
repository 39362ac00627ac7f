"""Worker processes, as the system lists them."""

import os
from pathlib import Path


def workers_here() -> list[int]:
    """Return the ids of the worker processes of this process."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    children = {int(pid) for one in listed for pid in one.read_text().split()}
    command = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return sorted(pid for pid, text in command.items() if b"spawn_main" in text)
