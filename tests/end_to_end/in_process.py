"""Commands in the process of the tests, where a process of their own is not what is tested."""

import os

from typer.testing import CliRunner, Result

from app.__main__ import commands as service_commands
from training.__main__ import app as training_commands


def run_here(*command: str, **variables: str) -> Result:
    """Run what ``python -m`` would run with these settings and no others, in this process.

    A process of its own needs seconds to import what this one holds.
    """
    app = {"app": service_commands, "training": training_commands}[command[0]]
    hidden = {name: None for name in os.environ if name.startswith("VITRINE_")}
    return CliRunner().invoke(app, command[1:], env={**hidden, **variables})
