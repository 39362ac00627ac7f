from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from app.catalogue.model import Model
from app.catalogue.picture_labeller import MAX_UPLOADS, PictureLabeller
from app.errors import LabellingBusyError, SceneModelMissingError
from app.observability import Metrics
from models.pictures.scene_labeller import SceneLabeller
from tests.scenes import colour_labeller


@pytest.fixture(scope="module")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> SceneLabeller:
    return colour_labeller(tmp_path_factory.mktemp("scenes"))


def labelling(labeller: SceneLabeller | None, pool: ThreadPoolExecutor) -> PictureLabeller:
    return PictureLabeller(lambda: Model(labeller=labeller), pool=pool, metrics=Metrics())


def test_who_comes_while_all_places_are_taken_is_sent_away(labeller: SceneLabeller) -> None:
    """Every place may hold a picture of 16 MiB: memory is bounded by their number."""
    with ThreadPoolExecutor(1) as pool, ExitStack() as held:
        uploads = labelling(labeller, pool)
        for _ in range(MAX_UPLOADS):
            held.enter_context(uploads.slot())

        with pytest.raises(LabellingBusyError, match="8 pictures"), uploads.slot():
            pass

        held.close()
        with uploads.slot():
            pass


def test_a_picture_that_fails_gives_its_place_back(labeller: SceneLabeller) -> None:
    with ThreadPoolExecutor(1) as pool:
        uploads = labelling(labeller, pool)
        for _ in range(MAX_UPLOADS + 1):
            with pytest.raises(ValueError, match="broken"), uploads.slot():
                raise ValueError("broken")  # noqa: EM101 - stands for any failure


def test_without_a_scene_model_there_is_no_place() -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(SceneModelMissingError, match="labels no pictures"),
        labelling(None, pool).slot(),
    ):
        pass
