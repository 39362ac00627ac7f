"""Sessions say what they got."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from models.pictures.onnx import OnnxError, Provider, open_session


def doubling() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["twice"]), helper.make_node("Neg", ["x"], ["minus"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [
            helper.make_tensor_value_info("twice", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("minus", TensorProto.FLOAT, ["n"]),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def test_outputs_come_by_name() -> None:
    session = open_session(doubling())

    outputs = session.run({"x": np.array([1.0, -2.5], dtype=np.float32)})

    assert session.inputs == ("x",)
    assert list(outputs) == ["twice", "minus"]
    assert outputs["twice"].tolist() == [2.0, -5.0]
    assert outputs["minus"].tolist() == [-1.0, 2.5]


def test_a_file_opens_like_its_content(tmp_path: Path) -> None:
    path = tmp_path / "doubling.onnx"
    path.write_bytes(doubling())

    assert open_session(path).outputs == ("twice", "minus")


def test_a_provider_that_does_not_load_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """A runtime can list CUDA, fail to load it, and answer from the CPU without an exception."""
    session = open_session(doubling(), Provider.CUDA)

    assert session.asked is Provider.CUDA
    assert (session.provider != session.asked) == (session.provider is Provider.CPU)
    assert session.run({"x": np.ones(1, dtype=np.float32)})["twice"].tolist() == [2.0]
    assert "Warning" not in capfd.readouterr().err


def test_the_cpu_never_falls_back() -> None:
    session = open_session(doubling())

    assert session.provider is Provider.CPU
    assert session.provider == session.asked


@pytest.mark.parametrize("content", [b"", b"no model", doubling()[:40]])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(OnnxError, match="cannot open the model as ONNX"):
        open_session(content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=r"gone\.onnx"):
        open_session(tmp_path / "gone.onnx")
