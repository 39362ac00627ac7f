"""The graph computes what its weights say."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.pictures.onnx import open_session
from models.pictures.picture import Frame, decode
from tests.shared import shared_data
from training.configuration import SceneNetwork
from training.scenes.efficientnet import efficientnet, weights_path
from training.scenes.torch_file import read_tensors

Doubles = NDArray[np.float64]


# Stride of every block, and whether what enters is added: the first block of a stage changes the
# width, and halves the resolution in stages 2, 3, 4 and 6.
BLOCKS = {
    SceneNetwork.LITE0: "1 2 1+ 2 1+ 2 1+ 1+ 1 1+ 1+ 2 1+ 1+ 1+ 1",
    SceneNetwork.LITE2: "1 2 1+ 1+ 2 1+ 1+ 2 1+ 1+ 1+ 1 1+ 1+ 1+ 2 1+ 1+ 1+ 1+ 1",
}


def weights_of(network: SceneNetwork) -> dict[str, Doubles]:
    tensors = read_tensors(weights_path(network))
    return {name: value.astype(np.float64) for name, value in tensors.items()}


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


def outputs_of(x: Doubles, weights: dict[str, Doubles], blocks: str) -> dict[str, Doubles]:
    """Compute what leaves every block, and the last layer; block 0 does not expand."""
    found: dict[str, Doubles] = {}
    x = relu6(normalise(convolve(x, weights["_conv_stem.weight"], stride=2), weights, "_bn0"))
    for block, kind in enumerate(blocks.split()):
        name, entry = f"_blocks.{block}.", x
        if block:
            expanded = convolve(x, weights[f"{name}_expand_conv.weight"])
            x = relu6(normalise(expanded, weights, f"{name}_bn0"))
        depthwise = convolve(x, weights[f"{name}_depthwise_conv.weight"], stride=int(kind[0]))
        x = relu6(normalise(depthwise, weights, f"{name}_bn1"))
        x = normalise(convolve(x, weights[f"{name}_project_conv.weight"]), weights, f"{name}_bn2")
        x = x + entry if kind.endswith("+") else x
        found[f"block_{block}"] = x
    found["output"] = relu6(normalise(convolve(x, weights["_conv_head.weight"]), weights, "_bn1"))
    return found


@pytest.mark.parametrize("network", SceneNetwork)
def test_every_block_equals_its_definition(network: SceneNetwork, rng: np.random.Generator) -> None:
    """Strides, padding, folded norms and residuals, recomputed in double precision."""
    weights = weights_of(network)
    pixels = rng.standard_normal((1, 3, 32, 40)).astype(np.float32)
    expected = outputs_of(pixels[0].astype(np.float64), weights, BLOCKS[network])
    model = efficientnet(read_tensors(weights_path(network)), network)
    for name in expected.keys() - {"output"}:
        model.graph.output.add().name = name

    found = open_session(model.SerializeToString()).run({"input": pixels})

    assert found.keys() == expected.keys()
    assert not any(f"_blocks.{len(expected) - 1}." in name for name in weights)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][0], value, atol=2e-4, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("network", SceneNetwork)
@pytest.mark.parametrize(
    ("scene", "classes"),
    [("library", {624}), ("laundromat", {897}), ("ocean", {977, 978}), ("mountain", {970, 972})],
)
def test_imagenet_classes_of_photographs_are_plausible(
    network: SceneNetwork, scene: str, classes: set[int]
) -> None:
    """ImageNet knows library (624), washer (897), sandbar and seashore, alp and cliff."""
    weights = weights_of(network)
    paths = sorted((shared_data("scenes") / scene).iterdir())[:6]
    cuts = np.stack([decode(path.read_bytes(), Frame()) for path in paths])
    pixels = ((cuts.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
    model = efficientnet(read_tensors(weights_path(network)), network)
    session = open_session(model.SerializeToString())

    pooled = session.run({"input": pixels})["output"].mean(axis=(2, 3))

    named = (pooled @ weights["_fc.weight"].T + weights["_fc.bias"]).argmax(axis=1).tolist()
    assert sum(name in classes for name in named) >= 4
