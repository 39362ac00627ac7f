import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.catalogue.model import Model
from app.catalogue.picture_labeller import MAX_UPLOADS, PictureLabeller
from app.errors import LabellingBusyError, SceneModelMissingError
from app.observability import Metrics
from models.domain.sale import COVER
from models.pictures.picture import PictureFormatError
from models.pictures.scene_labeller import SceneLabeller
from tests.scenes import colour_labeller


@pytest.fixture(scope="module")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> SceneLabeller:
    return colour_labeller(tmp_path_factory.mktemp("scenes"))


def labelling(labeller: SceneLabeller | None, pool: ThreadPoolExecutor) -> PictureLabeller:
    return PictureLabeller(lambda: Model(labeller=labeller), pool=pool, metrics=Metrics())


async def test_a_picture_is_refused_while_all_slots_are_taken(labeller: SceneLabeller) -> None:
    """Every slot may hold a picture of 16 MiB: memory is bounded by their number."""
    sent = asyncio.Event()

    async def slow() -> bytes:
        await sent.wait()
        return b"no picture"

    async def never() -> bytes:
        pytest.fail("received without a slot")

    with ThreadPoolExecutor(1) as pool:
        uploads = labelling(labeller, pool)
        held = [
            asyncio.create_task(uploads.label("s1", slow, number=COVER)) for _ in range(MAX_UPLOADS)
        ]
        await asyncio.sleep(0)

        with pytest.raises(LabellingBusyError, match="8 pictures"):
            await uploads.label("s1", never, number=COVER)

        sent.set()
        ended = await asyncio.gather(*held, return_exceptions=True)
        assert {type(one) for one in ended} == {PictureFormatError}


async def test_a_picture_that_fails_gives_its_slot_back(labeller: SceneLabeller) -> None:
    async def broken() -> bytes:
        return b"no picture"

    with ThreadPoolExecutor(1) as pool:
        uploads = labelling(labeller, pool)
        for _ in range(MAX_UPLOADS + 1):
            with pytest.raises(PictureFormatError):
                await uploads.label("s1", broken, number=COVER)


async def test_without_a_scene_model_no_picture_is_received() -> None:
    async def never() -> bytes:
        pytest.fail("received without a scene model")

    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(SceneModelMissingError, match="labels no pictures"),
    ):
        await labelling(None, pool).label("s1", never, number=COVER)
