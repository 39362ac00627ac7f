"""Writes the ONNX graphs around a backbone: pooled features, and the whole labeller."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper, shape_inference

from training.scenes.backbone import Backbone, BackboneError, Output
from training.scenes.head import Head

_PREFIX = "backbone/"
_MAP_RANK = 4
_VECTOR_RANK = 2
_LEAST_ROWS = 3  # one row for each of three bands
_TINY = 1e-12  # against division by 0 of an embedding of zeros


@dataclass
class _Writer:
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    constants: list[onnx.TensorProto] = field(default_factory=list[onnx.TensorProto])

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, dtype=np.float32))

    def add(self, op: str, *inputs: str, name: str = "", **attributes: int | list[int]) -> str:
        output = name or f"{op}_{len(self.nodes)}"
        outputs = [output, f"{output}_index"] if op == "TopK" else [output]
        node = helper.make_node(op, list(inputs), outputs, name=output)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self.nodes.append(node)
        return output


def feature_graph(backbone: Backbone) -> onnx.ModelProto:
    """Write pixels → pooled features.

    Args:
        backbone: The network.

    Returns:
        A graph from ``pictures``, uint8 ``(b, size, size, 3)``, to ``features``, float32
        ``(b, n_features)``.

    Raises:
        BackboneError: If an output is neither a map nor a vector.
    """
    writer = _Writer()
    _with_backbone(writer, backbone)
    _features(writer, backbone)
    return _model(backbone, writer, {"features": ["b", "d"]})


def scene_graph(backbone: Backbone, head: Head) -> onnx.ModelProto:
    """Write pixels → probabilities, embeddings and unlikeness, in one graph.

    Args:
        backbone: The network.
        head: The trained layers.

    Returns:
        A graph from ``pictures``, uint8 ``(b, size, size, 3)``, to ``probabilities``
        ``(b, n_labels)``, ``embeddings`` ``(b, 128)`` and ``unlikeness`` ``(b,)``.

    Raises:
        BackboneError: If an output of the backbone is neither a map nor a vector.
    """
    writer = _Writer()
    _with_backbone(writer, backbone)
    features = _features(writer, backbone)
    # Only operators that have not changed since opset 13, for backbones of any later opset.
    first = writer.add("Gemm", features, writer.constant(head.w1), writer.constant(head.b1))
    axis = writer.constant(np.array([1]))
    squares = writer.add("ReduceSum", writer.add("Mul", first, first), axis, keepdims=1)
    length = writer.add("Sqrt", writer.add("Max", squares, writer.number(_TINY)))
    writer.add("Div", first, length, name="embeddings")
    logits = writer.add("Gemm", "embeddings", writer.constant(head.w2), writer.constant(head.b2))
    writer.add("Softmax", logits, name="probabilities", axis=1)
    cosines = writer.add("MatMul", "embeddings", writer.constant(head.centres))
    nearest = writer.add("TopK", cosines, writer.constant(np.array([1])), axis=1)
    first_column = writer.constant(np.array(0))
    writer.add("Gather", writer.add("Neg", nearest), first_column, name="unlikeness", axis=1)
    return _model(
        backbone,
        writer,
        {
            "probabilities": ["b", head.n_labels],
            "embeddings": ["b", head.width],
            "unlikeness": ["b"],
        },
    )


def _with_backbone(writer: _Writer, backbone: Backbone) -> None:
    inner = compose.add_prefix(backbone.model, _PREFIX).graph
    stored = {constant.name for constant in inner.initializer}
    (entry,) = (one.name for one in inner.input if one.name not in stored)
    description = backbone.description
    last = writer.add("Cast", "pictures", to=TensorProto.FLOAT)
    if description.channels == "BGR":
        last = writer.add("Gather", last, writer.constant(np.array([2, 1, 0])), axis=3)
    # Per channel, while channels are last, so that both broadcast over (b, y, x, 3).
    mean = writer.constant(np.array(description.mean, dtype=np.float32))
    scale = writer.constant(np.array(description.scale, dtype=np.float32))
    last = writer.add("Div", writer.add("Sub", last, mean), scale)
    if description.layout == "NCHW":
        writer.add("Transpose", last, name=entry, perm=[0, 3, 1, 2])
    else:
        writer.add("Identity", last, name=entry)
    writer.nodes.extend(inner.node)
    writer.constants.extend(inner.initializer)


def _features(writer: _Writer, backbone: Backbone) -> str:
    # Shapes of all nodes' outputs for the input's size; a dimension is 0 where it is unknown.
    model = onnx.ModelProto()
    model.CopyFrom(backbone.model)
    stored = {constant.name for constant in model.graph.initializer}
    (entry,) = (one for one in model.graph.input if one.name not in stored)
    first = 2 if backbone.description.layout == "NCHW" else 1
    for dimension in entry.type.tensor_type.shape.dim[first : first + 2]:
        dimension.dim_value = backbone.description.size
    graph = shape_inference.infer_shapes(model).graph
    shapes = {
        info.name: tuple(dimension.dim_value for dimension in info.type.tensor_type.shape.dim)
        for info in (*graph.value_info, *graph.output)
    }
    parts = [
        part
        for output in backbone.description.outputs
        for part in _pooled(writer, output, shapes.get(output.name, ()))
    ]
    return writer.add("Concat", *parts, name="features", axis=1)


def _pooled(writer: _Writer, output: Output, shape: tuple[int, ...]) -> list[str]:
    name = _PREFIX + output.name
    if len(shape) == _VECTOR_RANK:
        return [name]
    if len(shape) != _MAP_RANK:
        msg = f"output {output.name} of the backbone has {len(shape)} dimensions, not 2 or 4"
        raise BackboneError(msg)
    mean = writer.add("GlobalAveragePool", name)
    maps: list[str] = []
    for statistic in output.pool:
        if statistic == "mean":
            maps.append(mean)
        elif statistic == "std":
            centred = writer.add("Sub", name, mean)
            squares = writer.add("Mul", centred, centred)
            maps.append(writer.add("Sqrt", writer.add("GlobalAveragePool", squares)))
        else:
            maps += _bands(writer, output, n_rows=shape[2])
    return [writer.add("Flatten", one) for one in maps]


def _bands(writer: _Writer, output: Output, *, n_rows: int) -> list[str]:
    if n_rows < _LEAST_ROWS:
        rows = f"{n_rows} rows" if n_rows else "an unknown number of rows"
        msg = f"output {output.name} of the backbone has {rows}; bands need {_LEAST_ROWS}"
        raise BackboneError(msg)
    # Whole rows, nearest to the 2, 3 and 2 sevenths that `Output.pool` promises.
    edges = [0, round(n_rows * 2 / 7), round(n_rows * 5 / 7), n_rows]
    bands: list[str] = []
    for start, end in pairwise(edges):
        limits = [writer.constant(np.array([one])) for one in (start, end, 2)]
        band = writer.add("Slice", _PREFIX + output.name, *limits)
        bands.append(writer.add("GlobalAveragePool", band))
    return bands


def _model(
    backbone: Backbone, writer: _Writer, outputs: dict[str, list[str | int]]
) -> onnx.ModelProto:
    size = backbone.description.size
    entry = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["b", size, size, 3])
    exits = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in outputs.items()
    ]
    graph = helper.make_graph(writer.nodes, "scenes", [entry], exits, writer.constants)
    model = helper.make_model(
        graph,
        opset_imports=list(backbone.model.opset_import),
        ir_version=backbone.model.ir_version,
    )
    onnx.checker.check_model(model)  # pyright: ignore[reportUnknownMemberType] - of a path
    return model
