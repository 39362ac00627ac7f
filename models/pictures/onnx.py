"""ONNX Runtime sessions, with explicit threads and a verified execution provider.

The only module that imports ``onnxruntime``.
"""

# onnxruntime ships no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue] - compiled

# The runtime's severities are verbose, info, warning, error, fatal, from 0.
_ERRORS_ONLY = 3
_UNREADABLE: tuple[type[Exception], ...] = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoSuchFile,
    state.NotImplemented,
)


class Provider(StrEnum):
    """Execution provider of a session."""

    CPU = "CPUExecutionProvider"
    CUDA = "CUDAExecutionProvider"


def listed_providers() -> frozenset[Provider]:
    """Return the providers that the installed runtime was built for; they may fail to load."""
    listed = set(onnxruntime.get_available_providers())
    return frozenset(one for one in Provider if one.value in listed)


class OnnxError(ValueError):
    """A model that the runtime cannot open."""


class OnnxSession:
    """An open ONNX model and its execution provider.

    Attributes:
        asked: The requested provider.
        provider: The provider in use. A runtime may list CUDA, fail to load it, and fall back to
            the CPU without an exception.
        inputs: Names of the inputs.
        outputs: Names of the outputs, in the model's order.
    """

    def __init__(self, session: onnxruntime.InferenceSession, *, asked: Provider) -> None:
        """Wrap an open session; use ``open_session``."""
        self._session = session
        self.asked = asked
        self.provider = Provider(session.get_providers()[0])
        self.inputs = tuple(str(entry.name) for entry in session.get_inputs())
        self.outputs = tuple(str(entry.name) for entry in session.get_outputs())

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Compute every output.

        Args:
            feeds: Arrays by input name, of the model's types and shapes.

        Returns:
            Arrays by output name.
        """
        values = cast("list[NDArray[np.generic]]", self._session.run(None, dict(feeds)))
        return dict(zip(self.outputs, values, strict=True))


def open_session(
    model: Path | bytes,
    provider: Provider = Provider.CPU,
    *,
    threads: int = 1,
) -> OnnxSession:
    """Open a model, on the CPU if the requested provider is absent or does not load.

    Args:
        model: Path or content of the ONNX file.
        provider: Requested provider.
        threads: Threads within an operator; operators run sequentially.

    Returns:
        The session.

    Raises:
        OnnxError: If the runtime cannot read the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    listed = set(onnxruntime.get_available_providers())
    wanted = [one for one in dict.fromkeys((provider, Provider.CPU)) if one in listed]
    content = model if isinstance(model, bytes) else str(model)
    try:
        # It prints warnings of a fallback; stdout is reserved for the output of commands.
        with redirect_stdout(sys.stderr):
            if Provider.CUDA in wanted:
                # The CUDA libraries are in pip packages, outside the search path of the linker.
                onnxruntime.preload_dlls()
            session = onnxruntime.InferenceSession(content, options, providers=wanted)
    except _UNREADABLE as exc:
        name = "the model" if isinstance(model, bytes) else model
        msg = f"cannot open {name} as ONNX: {exc}"
        raise OnnxError(msg) from exc
    return OnnxSession(session, asked=provider)
