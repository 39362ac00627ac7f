"""A loaded bundle, as a process serves it, or why there is none."""

from dataclasses import dataclass

from app.catalogue.picture_labeller import Scenes
from models.pictures.scene_labeller import SceneLabeller
from models.pictures.topics import Topics
from models.scoring.scorer import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded bundle, or why there is none.

    Attributes:
        scorer: The model.
        labeller: Labels new pictures; None where the bundle holds no scene model.
        failure: The reason, where there is no scorer.
    """

    scorer: Scorer | None = None
    labeller: SceneLabeller | None = None
    failure: str | None = None

    @property
    def bundle_id(self) -> str:
        """The bundle's id, empty without."""
        return self.scorer.bundle_id if self.scorer else ""

    @property
    def topics(self) -> Topics:
        """The bundle's topics, none without."""
        return self.scorer.topics if self.scorer else Topics.none()

    @property
    def scenes(self) -> Scenes:
        """What the bundle makes of pictures."""
        scene_model = self.scorer.scene_model if self.scorer else ""
        return Scenes(model=scene_model, topics=self.topics, labeller=self.labeller)
