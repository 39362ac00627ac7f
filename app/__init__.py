"""The service: answers the website, and everything that touches the store."""

from typing import Final

__version__: Final = "0.1.0"
