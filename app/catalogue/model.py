"""Loaded model of a process, or the reason for which there is none."""

from dataclasses import dataclass

from models.catalogue.event_counts import HALF_LIVES_HOURS, HalfLives
from models.pictures.scene_labeller import SceneLabeller
from models.pictures.topics import Topics
from models.scoring.scorer import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded bundle, or the reason why there is none.

    Attributes:
        scorer: Scores sales; None without a bundle.
        labeller: Labels new pictures; None where the bundle has no scene model.
        failure: The reason why there is no scorer.
    """

    scorer: Scorer | None = None
    labeller: SceneLabeller | None = None
    failure: str | None = None

    @property
    def bundle_id(self) -> str:
        """Id of the bundle, empty without."""
        return self.scorer.bundle_id if self.scorer else ""

    @property
    def topics(self) -> Topics:
        """Topics of the bundle, none without."""
        return self.scorer.topics if self.scorer else Topics.none()

    @property
    def half_lives(self) -> HalfLives:
        """Half-lives of the counts that the bundle was trained on, the defaults without one."""
        return self.scorer.counts.half_lives if self.scorer else HALF_LIVES_HOURS

    @property
    def scene_model(self) -> str:
        """Id of the bundle's scene model, empty without."""
        return self.scorer.scene_model if self.scorer else ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the label probabilities, none without a labeller."""
        return self.labeller.labels if self.labeller else ()
