"""Experiment routes: the plan, its changes and audit trail, and results."""

from collections.abc import Mapping
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.dependencies import ResourcesDep, caller
from app.api.middleware.audit import changed
from app.api.schema.body import body_of, described
from app.api.schema.problem import problems
from app.errors import NoResultsError
from app.experiments.plan_editor import ChangeAuthor, find_experiment
from app.observability import get_logger
from app.recommend.currency import mixed_currencies
from app.resources import Resources
from app.stores.plan import PlanChange, StoredPlan
from models.dataset.faults import DatasetError
from models.domain.event import Name
from models.experiments.analysis.interleaving import InterleavingResults
from models.experiments.analysis.results import Results
from models.experiments.exposure import ExposureError
from models.experiments.plan.experiment import Experiment, Kind
from models.experiments.plan.plan import AUDIT, Plan
from models.experiments.plan.plan_edit import ExperimentTerms, PlanDraft

_log = get_logger(__name__)

router = APIRouter(prefix="/v1", tags=["experiments"])

MAX_AUDIT: Final = 1_000

_NO_EXPORTS: Final = (
    "set VITRINE_EXPORTS to the folder that `python -m app export-events` writes on this machine"
)

_READ_PROBLEMS: Final = problems(404, 409, 422, 503)
_CHANGE_PROBLEMS: Final = problems(404, 409, 412, 422, 503)


class ExperimentList(BaseModel, frozen=True):
    """All experiments of the plan, and the version of the plan."""

    version: int = Field(description="Of the plan; also its ETag.")
    items: list[Experiment]


class AuditAnswer(BaseModel, frozen=True):
    """The audit trail of the plan, the latest change first."""

    items: list[PlanChange]


IfMatch = Annotated[
    str,
    Header(
        pattern=r'^"\d{1,18}"$',
        description="ETag of the plan that is meant; if it is another one by now, nothing changes.",
    ),
]
ExperimentName = Annotated[Name, Path(description="The experiment.", examples=["home-page"])]


async def change_author(request: Request, if_match: IfMatch = "") -> ChangeAuthor:
    """Return the name of the caller, and the version that the caller means to change."""
    return ChangeAuthor(caller(request), int(if_match.strip('"')) if if_match else None)


AuthorDep = Annotated[ChangeAuthor, Depends(change_author)]


@router.get("/experiments", response_model=ExperimentList, responses=_READ_PROBLEMS)
async def list_experiments(resources: ResourcesDep) -> Response:
    """Return all experiments of the plan, those that ended too."""
    stored = await resources.plan_editor.current()
    items = [one.model_dump(mode="json", exclude_unset=True) for one in stored.plan.experiments]
    return _answer(stored, {"version": stored.version, "items": items})


@router.get(f"/experiments/{AUDIT}", responses=_READ_PROBLEMS)
async def read_audit(
    resources: ResourcesDep,
    limit: Annotated[int, Query(ge=1, le=MAX_AUDIT, description="How many.")] = 100,
) -> AuditAnswer:
    """Return who changed the plan, when and how, the latest first; the last 1,000 are kept."""
    return AuditAnswer(items=await resources.plan_editor.plans.audit(limit))


@router.get("/experiments/{name}", response_model=Experiment, responses=_READ_PROBLEMS)
async def get_experiment(name: ExperimentName, resources: ResourcesDep) -> Response:
    """Return an experiment with the buckets of its variants."""
    stored = await resources.plan_editor.current()
    experiment = find_experiment(stored.plan, name)
    return _answer(stored, experiment.model_dump(mode="json", exclude_unset=True))


@router.get("/experiments/{name}/results", responses=_READ_PROBLEMS)
async def get_results(
    name: ExperimentName, resources: ResourcesDep
) -> Results | InterleavingResults:
    """Return the results of an experiment by its kind, from what was exported so far."""
    if resources.results is None:
        raise NoResultsError(_NO_EXPORTS)
    plan = (await resources.plan_editor.current()).plan
    experiment = find_experiment(plan, name)
    units = {layer.name: layer.unit for layer in plan.layers}
    unit, results = units[experiment.layer], resources.results
    try:
        if experiment.kind is Kind.INTERLEAVING:
            return await results.for_interleaving(experiment, unit)
        return await results.for_experiment(experiment, unit)
    except (DatasetError, ExposureError) as exc:
        raise NoResultsError(str(exc)) from exc


@router.put(
    "/experiments/{name}",
    response_model=Experiment,
    openapi_extra=described(ExperimentTerms),
    responses=_CHANGE_PROBLEMS,
)
async def put_experiment(
    name: ExperimentName,
    terms: Annotated[ExperimentTerms, body_of(ExperimentTerms)],
    author: AuthorDep,
    resources: ResourcesDep,
) -> Response:
    """Create an experiment or change it; only the units that must change variant do."""
    stored = await resources.plan_editor.put_experiment(terms.named(name), author)
    await resources.plan.poll()
    _warn_of_currencies(stored, resources)
    experiment = find_experiment(stored.plan, name)
    policies = [one.model_dump_json() for one in stored.plan.policies(experiment)]
    if len(policies) > len(set(policies)) == 1:
        _log.warning("all variants have one policy: the experiment is an A/A test", experiment=name)
    return _answer(stored, experiment.model_dump(mode="json", exclude_unset=True))


@router.delete("/experiments/{name}", response_model=Plan, responses=_CHANGE_PROBLEMS)
async def end_experiment(
    name: ExperimentName, author: AuthorDep, resources: ResourcesDep
) -> Response:
    """End an experiment now, which keeps it for its results; remove one that does not run."""
    return await _put(await resources.plan_editor.end_experiment(name, author), resources)


@router.get("/plan", response_model=Plan, responses=_READ_PROBLEMS)
async def get_plan(resources: ResourcesDep) -> Response:
    """Return the whole plan; its version is the ETag."""
    stored = await resources.plan_editor.current()
    return _answer(stored, orjson.loads(stored.plan.to_json()))


@router.put(
    "/plan", response_model=Plan, openapi_extra=described(PlanDraft), responses=_CHANGE_PROBLEMS
)
async def put_plan(
    draft: Annotated[PlanDraft, body_of(PlanDraft)],
    author: AuthorDep,
    request: Request,
    resources: ResourcesDep,
) -> Response:
    """Replace the whole plan: it is taken as it is or refused, never repaired."""
    stored = await resources.plan_editor.put_plan(draft, author)
    changed(request, version=stored.version)
    return await _put(stored, resources)


async def _put(stored: StoredPlan, resources: Resources) -> Response:
    await resources.plan.poll()
    _warn_of_currencies(stored, resources)
    return _answer(stored, orjson.loads(stored.plan.to_json()))


def _warn_of_currencies(stored: StoredPlan, resources: Resources) -> None:
    served = resources.live.served
    sales = served.catalogue.sales if served else ()
    mixed = mixed_currencies(stored.plan, sales, now_us=resources.pipeline.clock.now_us())
    if mixed:
        _log.warning(
            "the plan orders by money: amounts in several currencies are compared as they are",
            currencies=mixed,
            plan_version=stored.version,
        )


def _answer(stored: StoredPlan, body: Mapping[str, object]) -> Response:
    headers = {"ETag": f'"{stored.version}"'}
    return Response(orjson.dumps(body), headers=headers, media_type="application/json")
