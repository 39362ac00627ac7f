"""The graph computes what its weights say."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.pictures.onnx import open_session
from models.pictures.picture import Frame, decode
from tests.shared import shared_data
from training.scenes.efficientnet import efficientnet_lite0, weights_path
from training.scenes.torch_file import read_tensors

Doubles = NDArray[np.float64]


@pytest.fixture(scope="module")
def weights() -> dict[str, Doubles]:
    return {name: value.astype(np.float64) for name, value in read_tensors(weights_path()).items()}


def convolve(x: Doubles, kernel: Doubles, *, stride: int = 1) -> Doubles:
    """Convolve ``(channels, y, x)`` by the definition, with TensorFlow's "same" padding.

    A depthwise kernel has one input channel.
    """
    size = kernel.shape[2]
    missing = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[1:]]
    padded = np.pad(x, [(0, 0), *((lack // 2, lack - lack // 2) for lack in missing)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    if kernel.shape[1] == 1:
        return np.einsum("cyxij,cij->cyx", windows, kernel[:, 0])
    return np.einsum("cyxij,dcij->dyx", windows, kernel)


def normalise(x: Doubles, weights: dict[str, Doubles], name: str) -> Doubles:
    gamma, beta, mean, variance = (
        weights[f"{name}.{part}"][:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def relu6(x: Doubles) -> Doubles:
    return np.clip(x, 0, 6)


def first_three_blocks(x: Doubles, weights: dict[str, Doubles]) -> Doubles:
    """Compute the stem, a block without expansion, one that halves, and one with a residual."""
    x = relu6(normalise(convolve(x, weights["_conv_stem.weight"], stride=2), weights, "_bn0"))
    for block, stride in ((0, 1), (1, 2), (2, 1)):
        name, entry = f"_blocks.{block}.", x
        if block:
            expanded = convolve(x, weights[f"{name}_expand_conv.weight"])
            x = relu6(normalise(expanded, weights, f"{name}_bn0"))
        depthwise = convolve(x, weights[f"{name}_depthwise_conv.weight"], stride=stride)
        x = relu6(normalise(depthwise, weights, f"{name}_bn1"))
        x = normalise(convolve(x, weights[f"{name}_project_conv.weight"]), weights, f"{name}_bn2")
        x = x + entry if block == 2 else x
    return x


def test_the_first_blocks_equal_their_definition(
    weights: dict[str, Doubles], rng: np.random.Generator
) -> None:
    """Strides, padding, folded norms and the residual, recomputed in double precision."""
    model = efficientnet_lite0(read_tensors(weights_path()))
    output = model.graph.output.add()
    output.name = "block_2"
    pixels = rng.standard_normal((1, 3, 32, 40)).astype(np.float32)

    found = open_session(model.SerializeToString()).run({"input": pixels})["block_2"]

    expected = first_three_blocks(pixels[0].astype(np.float64), weights)
    assert found.shape == (1, 24, 8, 10)
    np.testing.assert_allclose(found[0], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("scene", "classes"),
    [("library", {624}), ("laundromat", {897}), ("ocean", {977, 978}), ("mountain", {970, 972})],
)
def test_imagenet_classes_of_photographs_are_plausible(
    weights: dict[str, Doubles], scene: str, classes: set[int]
) -> None:
    """ImageNet knows library (624), washer (897), sandbar and seashore, alp and cliff."""
    paths = sorted((shared_data("scenes") / scene).iterdir())[:6]
    cuts = np.stack([decode(path.read_bytes(), Frame()) for path in paths])
    pixels = ((cuts.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
    session = open_session(efficientnet_lite0(read_tensors(weights_path())).SerializeToString())

    pooled = session.run({"input": pixels})["output"].mean(axis=(2, 3))

    named = (pooled @ weights["_fc.weight"].T + weights["_fc.bias"]).argmax(axis=1).tolist()
    assert sum(name in classes for name in named) >= 4
