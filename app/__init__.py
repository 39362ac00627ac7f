"""The recommendation service: HTTP API, workers, and the commands that use the store."""

from typing import Final

__version__: Final = "0.1.0"
