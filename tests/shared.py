"""Folders of real data that the project does not contain."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared"


def shared_data(name: str) -> Path:
    """Return the path of one folder or file of real data, or skip the test.

    The root is ``VITRINE_SHARED``, or a folder ``shared`` beside the checkout.
    """
    path = Path(os.environ.get("VITRINE_SHARED", _DEFAULT)) / "data" / name
    if not path.exists():
        pytest.skip(f"shared data absent: {name}")
    return path
