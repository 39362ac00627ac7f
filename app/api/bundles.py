"""Bundle routes: active, previous and shadow bundle; activation and rollback."""

import asyncio
from typing import Annotated, Final, Self

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.middleware.audit import changed
from app.api.middleware.encoded_slashes import PathIdentifier
from app.api.schema.body import body_of, described, example
from app.api.schema.problem import problems
from app.bundles.bundle_repository import BundleInfo
from app.stores.bundle import Wanted, WorkerReport
from models.domain.event import Identifier
from models.scoring.model_card import ModelCard

router = APIRouter(prefix="/v1/bundles", tags=["bundles"])

_ID: Final = "20261101T000000-5b1f0c9d3a77"
_BEFORE: Final = "20261031T000000-0c4e61f7a2b9"
_WANTED: Final[JsonDict] = {"active": _ID, "previous": _BEFORE, "shadow": None}
_BUNDLE: Final[JsonDict] = {
    "bundle": _ID,
    "until": "2026-11-01T00:00:00+00:00",
    "recommenders": ["popularity", "content", "images"],
    "scene_model": "4be1c2a9d0f7",
    "seed": 7,
    "data_fingerprint": "91d2",
    "awaits_traffic": False,
    "fault": None,
}
_WORKER: Final[JsonDict] = {
    **_WANTED,
    "worker": "web-1-4711",
    "failure": None,
    "unread_pictures": 0,
}
_PROBLEMS: Final = problems(404, 409, 422, 503)


class BundleBody(BaseModel):
    """Names a bundle."""

    model_config = example({"bundle": _ID}, extra="forbid")

    bundle: Identifier = Field(description="Its id.")


class ActivationBody(BundleBody):
    """Names a bundle to activate."""

    spare_promotion: bool = Field(
        default=False,
        description="Answer 409 `promotion_spared` if it would stop a promotion, or replace a "
        "bundle that a promotion brought to all customers later than an hour before it was made.",
    )


class WantedBundles(BaseModel):
    """Wanted bundles: those that all workers are to serve."""

    model_config = example(_WANTED)

    active: str | None = Field(
        description="Answers; null before the first activation: the settings decide."
    )
    previous: str | None = Field(description="Answered before; a rollback returns to it.")
    shadow: str | None = Field(description="Scores the same visits without being shown.")

    @classmethod
    def from_wanted(cls, wanted: Wanted) -> Self:
        """Render the bundles that are wanted."""
        return cls(
            active=wanted.active or None,
            previous=wanted.previous or None,
            shadow=wanted.shadow or None,
        )


class LocalBundle(BaseModel):
    """A bundle that this machine has."""

    model_config = example(_BUNDLE)

    bundle: str = Field(description="Its id.")
    until: str | None = Field(description="End of its training data; null if unreadable.")
    recommenders: list[str] = Field(description="Its recommenders, in feature order.")
    scene_model: str | None = Field(
        description="The scene model that labelled its pictures; pictures that another one "
        "labelled are not used."
    )
    seed: int | None
    data_fingerprint: str | None = Field(description="Hash of its training data.")
    awaits_traffic: bool = Field(
        description="Whether a night asks customers to judge it, by a promotion; it serves only by "
        "name."
    )
    fault: str | None = Field(
        description="Why it is refused, as while it is being copied; null if it is whole."
    )

    @classmethod
    def from_info(cls, info: BundleInfo) -> Self:
        """Describe a bundle of the repository."""
        manifest = info.manifest
        return cls(
            bundle=info.bundle_id,
            until=manifest.until if manifest else None,
            recommenders=manifest.recommenders if manifest else [],
            scene_model=(manifest.scene_model or None) if manifest else None,
            seed=manifest.seed if manifest else None,
            data_fingerprint=manifest.data_fingerprint if manifest else None,
            awaits_traffic=manifest.awaits_traffic if manifest else False,
            fault=info.fault,
        )


class WorkerState(BaseModel):
    """A worker's report within the last ten seconds."""

    model_config = example(_WORKER)

    worker: str = Field(description="Machine and process.")
    active: str | None = Field(description="The bundle that answers.")
    previous: str | None = Field(description="The bundle that is kept ready.")
    shadow: str | None = Field(description="The bundle that scores unseen.")
    failure: str | None = Field(description="Why it does not serve the bundles that are wanted.")
    unread_pictures: int = Field(
        description="Pictures that another scene model labelled: their sales count as sales "
        "without a new picture until it is uploaded again."
    )

    @classmethod
    def from_report(cls, report: WorkerReport) -> Self:
        """Render a worker's report."""
        return cls(
            worker=report.worker,
            active=report.active or None,
            previous=report.previous or None,
            shadow=report.shadow or None,
            failure=report.failure,
            unread_pictures=report.n_unread_pictures,
        )


class BundleList(BaseModel):
    """Bundles of this machine, wanted bundles, and bundles served by each worker."""

    model_config = example({"wanted": _WANTED, "bundles": [_BUNDLE], "workers": [_WORKER]})

    wanted: WantedBundles
    bundles: list[LocalBundle] = Field(description="Of the answering machine, newest first.")
    workers: list[WorkerState] = Field(description="Of all machines.")


BundleId = Annotated[PathIdentifier, Path(description="The bundle.", examples=[_ID])]
BundleBodyDep = Annotated[BundleBody, body_of(BundleBody)]


@router.get("", responses=problems(503))
async def list_bundles(resources: ResourcesDep) -> BundleList:
    """Return the bundles of this machine, those that are wanted, and those that workers serve."""
    active_bundle = resources.active_bundle
    wanted = await active_bundle.store.wanted()
    # The answering worker's own state is known better than by its last report.
    reports = {report.worker: report for report in await active_bundle.store.reports()}
    reports[active_bundle.name] = active_bundle.report()
    return BundleList(
        wanted=WantedBundles.from_wanted(wanted),
        bundles=[
            LocalBundle.from_info(info)
            for info in await asyncio.to_thread(active_bundle.repository.infos)
        ],
        workers=[WorkerState.from_report(reports[name]) for name in sorted(reports)],
    )


@router.get("/{bundle}/card", response_model=ModelCard, responses=problems(404, 409, 422, 503))
async def get_model_card(bundle: BundleId, resources: ResourcesDep) -> ModelCard:
    """Return the model card: training data, held-out figures, calibration and importances."""
    return await asyncio.to_thread(resources.active_bundle.repository.card, bundle)


@router.put("/active", openapi_extra=described(ActivationBody), responses=_PROBLEMS)
async def activate_bundle(
    body: Annotated[ActivationBody, body_of(ActivationBody)],
    request: Request,
    resources: ResourcesDep,
) -> WantedBundles:
    """Verify a bundle here, then have all workers answer with it; within two seconds they do."""
    if body.spare_promotion:
        await resources.promotion_editor.require_spared(body.bundle)
    changed(request, bundle=body.bundle)
    return WantedBundles.from_wanted(await resources.active_bundle.activate(body.bundle))


@router.post("/rollback", responses=_PROBLEMS)
async def roll_back(request: Request, resources: ResourcesDep) -> WantedBundles:
    """Have all workers answer with the bundle before; a second call returns to this one."""
    wanted = await resources.active_bundle.roll_back()
    changed(request, bundle=wanted.active)
    return WantedBundles.from_wanted(wanted)


@router.put("/shadow", openapi_extra=described(BundleBody), responses=_PROBLEMS)
async def shadow_bundle(
    body: BundleBodyDep, request: Request, resources: ResourcesDep
) -> WantedBundles:
    """Have all workers score with a bundle as the shadow, as far as they have time."""
    changed(request, bundle=body.bundle)
    return WantedBundles.from_wanted(await resources.active_bundle.shadow_by(body.bundle))


@router.delete("/shadow", responses=problems(503))
async def end_shadow(resources: ResourcesDep) -> WantedBundles:
    """End the shadow of all workers."""
    return WantedBundles.from_wanted(await resources.active_bundle.shadow_by(""))
