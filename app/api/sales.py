"""Sale routes: write, read and delete a sale, its pictures, and visually similar sales."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.middleware.encoded_slashes import PathIdentifier
from app.api.parameters import DIGITS, EACH_ONCE
from app.api.schema.body import (
    JSON,
    content_of,
    described,
    example,
    media_type_of,
    parsed,
)
from app.api.schema.problem import problems
from app.catalogue.sale_details import LookAlike, PictureView
from app.errors import PictureTypeError, SaleMismatchError, SlowBodyError
from app.resources import Resources
from models.domain.event import Identifier
from models.domain.sale import COVER, MAX_PICTURES, Sale
from models.pictures.picture import PictureBrokenError, PictureFormatError, PictureTooLargeError

# Chosen: what a page shows beside a sale.
MAX_LIMIT: Final = 100
N_LABELS: Final = 5
N_NEIGHBOURS: Final = 10

# For the largest picture, 16 MiB, at 4.5 Mbit/s. Chosen, not measured.
RECEIVE_WITHIN_S: Final = 30.0

MEDIA_TYPES: Final = ("image/jpeg", "image/png", "image/webp")

# `models` knows no HTTP: an error of a picture has a code there, and its status here.
PICTURE_STATUS: Final = {
    PictureTooLargeError.code: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    PictureFormatError.code: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    PictureBrokenError.code: HTTPStatus.UNPROCESSABLE_ENTITY,
}

router = APIRouter(prefix="/v1/sales", tags=["sales"])

SALE_EXAMPLE: Final[JsonDict] = {
    "sale_id": "s-31",
    "title": "Four nights above Tignes",
    "description": "A lodge at the foot of the slopes, half board.",
    "destination": "Tignes",
    "country": "FR",
    "category": "ski",
    "price": 399.0,
    "original_price": 640.0,
    "currency": "EUR",
    "margin": 0.18,
    "markets": ["fr", "de"],
    "opens_at": "2026-11-22T07:00:00Z",
    "closes_at": "2026-11-29T07:00:00Z",
    "sold_out_at": None,
    "stock": 40,
    "image": None,
    "attributes": {"stars": 4.0, "spa": True},
}
_LOOK_ALIKE: Final[JsonDict] = {"sale_id": "s-7", "similarity": 0.8312, "open": False}
_PICTURE: Final[JsonDict] = {
    "scene_model": "0c4a9b5d2e6f",
    "labels": [{"label": "ski_resort", "share": 0.914}, {"label": "mountain", "share": 0.051}],
    "topics": [{"topic": "Ski resort – Ski slope – Mountain", "percent": 96.1}],
    "unlike": False,
}


class SaleBody(Sale):
    """A sale of the dataset contract; without `sale_id` it is that of the path.

    A stock of 0 closes the sale: `sold_out_at` is now, where it is not given and was not
    known. A stock above 0 opens it again and drops `sold_out_at`.
    """

    model_config = example(SALE_EXAMPLE)

    sale_id: Identifier = Field(default_factory=str, description="That of the path, or left out.")


class LabelAnswer(BaseModel):
    """One scene label of a picture."""

    model_config = example({"label": "ski_resort", "share": 0.914})

    label: str
    share: float = Field(ge=0, le=1, description="Probability; all labels sum to 1.")


class TopicAnswer(BaseModel):
    """One topic of a picture."""

    model_config = example({"topic": "Ski resort – Ski slope – Mountain", "percent": 96.1})

    topic: str = Field(description="Named by its top labels.")
    percent: float = Field(ge=0, le=100, description="Share of the picture.")


class PictureAnswer(BaseModel):
    """Scene labels and topics of a picture."""

    model_config = example(_PICTURE)

    scene_model: str = Field(description="Id of the scene model that labelled it.")
    labels: list[LabelAnswer] = Field(
        description=f"The {N_LABELS} likeliest labels; empty where the bundle has no names."
    )
    topics: list[TopicAnswer] = Field(
        description="The largest first; without those below 0.1 %, and those whose labels do not "
        "occur together."
    )
    unlike: bool | None = Field(
        description="Whether it is like no scene that the model knows, so that labels mean "
        "little; null for pictures that were labelled in training."
    )


class PutPictureAnswer(PictureAnswer):
    """What a picture shows that was put."""

    model_config = example({**_PICTURE, "same_as": None})

    same_as: int | None = Field(
        description="Number of another picture of the sale that looks the same; null for none. "
        "Remove one of the two: as covers they are one."
    )


class NumberedPictureAnswer(PictureAnswer):
    """Scene labels and topics of one of a sale's pictures."""

    model_config = example({"number": COVER, **_PICTURE})

    number: int = Field(ge=COVER, le=MAX_PICTURES, description="1 is the cover.")


class LookAlikeAnswer(BaseModel):
    """A sale with a picture that looks alike."""

    model_config = example(_LOOK_ALIKE)

    sale_id: str
    similarity: float = Field(gt=0, le=1.001, description="Cosine of the picture vectors.")
    open: bool = Field(description="Whether it can be bought now, in some market.")


class SaleAnswer(BaseModel):
    """A sale, the labels and topics of its pictures, and sales that look like it."""

    model_config = example(
        {
            "sale": SALE_EXAMPLE,
            "open": True,
            "picture": _PICTURE,
            "pictures": [{"number": COVER, **_PICTURE}],
            "best_cover": COVER,
            "neighbours": [_LOOK_ALIKE],
        }
    )

    sale: Sale
    open: bool = Field(description="Whether it can be bought now, in some market.")
    picture: PictureAnswer | None = Field(
        description="All its pictures together, as recommendations see them; null without one."
    )
    pictures: list[NumberedPictureAnswer] = Field(description="Each of them, by number.")
    best_cover: int | None = Field(
        description="Number of the picture with the surest label, of those like a known scene if "
        "any is; null without one. Make it the cover: see docs/scenes.md."
    )
    neighbours: list[LookAlikeAnswer] = Field(
        description=f"The {N_NEIGHBOURS} nearest pictures of other sales, closed ones included."
    )


class SimilarAnswer(BaseModel):
    """The sales whose pictures are nearest, the nearest first."""

    model_config = example({"items": [_LOOK_ALIKE]})

    items: list[LookAlikeAnswer] = Field(description="Empty where the sale has no picture.")


class SimilarQuery(BaseModel, frozen=True, extra="forbid"):
    """Number and filter of similar sales."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), DIGITS] = Field(
        default=N_NEIGHBOURS, description="How many."
    )
    open: bool | None = Field(
        default=None, description="Only open sales, or only closed ones; unset: both."
    )


Number = Annotated[
    int,
    Path(ge=COVER, le=MAX_PICTURES, description="Which picture; 1 is the cover.", examples=[2]),
    DIGITS,
]
SaleId = Annotated[PathIdentifier, Path(description="The sale.", examples=["s-31"])]

_PICTURE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in MEDIA_TYPES
        },
    }
}


@router.put(
    "/{sale_id}",
    response_model=Sale,
    openapi_extra=described(SaleBody),
    responses=problems(409, 422, 503)
    | {int(HTTPStatus.CREATED): {"model": Sale, "description": "It was not known before."}},
)
async def put_sale(
    sale_id: SaleId, request: Request, response: Response, resources: ResourcesDep
) -> Sale:
    """Insert or replace a sale; while the store answers, every worker has it within a second."""
    body = parsed(SaleBody, await content_of(request, JSON))
    if body.sale_id not in {"", sale_id}:
        raise SaleMismatchError(sale_id, body.sale_id)
    sale = Sale.model_validate({**dict(body), "sale_id": sale_id})
    written = await resources.sale_writer.put(sale)
    if written.is_new:
        response.status_code = HTTPStatus.CREATED
    return written.sale


@router.get(
    "/{sale_id}",
    response_model=SaleAnswer,
    responses=problems(404, 422, 503),
)
async def get_sale(sale_id: SaleId, resources: ResourcesDep) -> SaleAnswer:
    """Return a sale with the labels, topics and neighbours of its picture."""
    shown = await resources.sale_details.get(sale_id, n_look_alikes=N_NEIGHBOURS)
    return SaleAnswer(
        sale=shown.sale,
        open=shown.is_open,
        picture=PictureAnswer.model_validate(_picture_fields(shown.picture))
        if shown.picture
        else None,
        pictures=[
            NumberedPictureAnswer.model_validate({"number": number, **_picture_fields(view)})
            for number, view in shown.pictures.items()
        ],
        best_cover=shown.best_cover,
        neighbours=[_look_alike(one) for one in shown.look_alikes],
    )


@router.delete(
    "/{sale_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(404, 422, 503),
)
async def delete_sale(sale_id: SaleId, resources: ResourcesDep) -> None:
    """Delete a sale and what its picture shows; to close it, put a stock of 0 instead.

    404: the sale is not known. To a request that is repeated because its reply was lost, 404 means
    that the sale is deleted.
    """
    await resources.sale_writer.delete(sale_id)


_PICTURE_PROBLEMS: Final = problems(404, 408, 409, 422, 503)


@router.put(
    "/{sale_id}/image",
    response_model=PutPictureAnswer,
    openapi_extra=_PICTURE_BODY,
    responses=_PICTURE_PROBLEMS,
)
async def put_image(sale_id: SaleId, request: Request, resources: ResourcesDep) -> PutPictureAnswer:
    """Label a sale's cover and keep what it shows; another one replaces it."""
    return await _put_picture(sale_id, COVER, request=request, resources=resources)


@router.delete(
    "/{sale_id}/image",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(404, 422, 503),
)
async def delete_cover(sale_id: SaleId, resources: ResourcesDep) -> None:
    """Remove a sale's picture of number 1; to a repeated request, 404 means that it is removed."""
    await resources.sale_writer.remove_picture(sale_id, COVER)


@router.put(
    "/{sale_id}/images/{number}",
    response_model=PutPictureAnswer,
    openapi_extra=_PICTURE_BODY,
    responses=_PICTURE_PROBLEMS,
)
async def put_numbered_image(
    sale_id: SaleId, number: Number, request: Request, resources: ResourcesDep
) -> PutPictureAnswer:
    """Label one of a sale's pictures and keep what it shows; another of the number replaces it."""
    return await _put_picture(sale_id, number, request=request, resources=resources)


@router.delete(
    "/{sale_id}/images/{number}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(404, 422, 503),
)
async def delete_image(sale_id: SaleId, number: Number, resources: ResourcesDep) -> None:
    """Remove one of a sale's pictures; the others keep their numbers.

    To a repeated request, 404 means that the picture is removed.
    """
    await resources.sale_writer.remove_picture(sale_id, number)


@router.get(
    "/{sale_id}/similar",
    dependencies=[EACH_ONCE],
    response_model=SimilarAnswer,
    responses=problems(404, 422, 503),
)
async def similar(
    sale_id: SaleId, query: Annotated[SimilarQuery, Query()], resources: ResourcesDep
) -> SimilarAnswer:
    """Return the sales whose pictures are nearest, by exact search over all sales."""
    found = await resources.sale_details.similar(sale_id, limit=query.limit, is_open=query.open)
    return SimilarAnswer(items=[_look_alike(one) for one in found])


async def _put_picture(
    sale_id: str, number: int, *, request: Request, resources: Resources
) -> PutPictureAnswer:
    media_type = media_type_of(request)
    if media_type not in MEDIA_TYPES:
        raise PictureTypeError(media_type[:MAX_LIMIT], MEDIA_TYPES)

    async def received() -> bytes:
        # A caller that sends a byte a minute would hold one of few slots without end.
        try:
            async with asyncio.timeout(RECEIVE_WITHIN_S):
                return await request.body()
        except TimeoutError as exc:
            raise SlowBodyError(RECEIVE_WITHIN_S) from exc

    written = await resources.sale_writer.put_picture(sale_id, received, number=number)
    view = await asyncio.to_thread(resources.sale_details.view, written.picture)
    return PutPictureAnswer.model_validate({**_picture_fields(view), "same_as": written.same_as})


def _picture_fields(view: PictureView) -> dict[str, object]:
    topics = [(topic.name, round(100 * topic.share, 1)) for topic in view.topics]
    return {
        "scene_model": view.scene_model,
        "labels": [
            LabelAnswer(label=label.name, share=round(label.share, 4))
            for label in view.labels[:N_LABELS]
        ],
        "topics": [TopicAnswer(topic=name, percent=percent) for name, percent in topics if percent],
        "unlike": view.is_unlike,
    }


def _look_alike(look_alike: LookAlike) -> LookAlikeAnswer:
    return LookAlikeAnswer(
        sale_id=look_alike.sale_id,
        similarity=round(look_alike.similarity, 4),
        open=look_alike.is_open,
    )
