"""``python -m app plan``: the plan of experiments by file, for those who keep it in git."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
import yaml

from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    editor_of,
    exit_on_user_error,
    opened,
    read_settings,
    store_url,
)
from app.errors import PlanRefusedError
from app.experiments.plan_editor import THE_PLAN, Order, PlanEditor
from app.settings import Settings
from app.stores.plan import StoredPlan
from models.experiments.analysis.difference import changes
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_edit import PlanDraft
from models.experiments.plan.plan_file import read_draft, reason_of
from models.promotion.canary_plan import with_its_canary

UNCHANGED: Final = "nothing to change"

plan_commands = typer.Typer(help="Show and apply the plan of experiments.", no_args_is_help=True)


@plan_commands.command("show")
def show_plan(*, redis_url: RedisUrlOption = None, as_json: JsonOption = False) -> None:
    """Print the plan that all workers follow, in a form that can be applied."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), store_url(settings) as url:
        stored = asyncio.run(_current(url, settings))
    plan = orjson.loads(stored.plan.to_json())
    if as_json:
        typer.echo(orjson.dumps({"version": stored.version, "plan": plan}))
        return
    typer.echo(f"# version {stored.version}")
    typer.echo(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), nl=False)


@plan_commands.command("apply")
def apply_plan(
    file: Annotated[Path, typer.Argument(help="YAML or JSON, by shares or exact buckets.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    version: Annotated[
        int | None, typer.Option(min=0, help="Only if the plan is this version still.")
    ] = None,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the plan what a file says: taken as it is or refused. A second time changes nothing.

    The canary of a promotion that runs stays, though no file names it.
    """
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), store_url(settings) as url:
        order = Order(f"plan apply {file.name}", version)
        draft = read_draft(file)
        before, after = asyncio.run(_apply(url, settings, draft, order=order, dry_run=dry_run))
    said = changes(before.plan, after.plan)
    if as_json:
        told = {"before": before.version, "version": after.version, "changes": said}
        typer.echo(orjson.dumps(told))
        return
    for line in said or (UNCHANGED,):
        typer.echo(line)
    typer.echo(f"version {before.version} → {after.version}", err=True)


async def _current(url: str, settings: Settings) -> StoredPlan:
    async with opened(url) as stores:
        return await editor_of(stores, settings).current()


async def _apply(
    url: str, settings: Settings, draft: PlanDraft, *, order: Order, dry_run: bool
) -> tuple[StoredPlan, StoredPlan]:
    async with opened(url) as stores:
        editor = editor_of(stores, settings)
        before = await editor.current()
        whole = with_its_canary(draft, before.plan)
        if dry_run:
            return before, StoredPlan(before.version, await _previewed(editor, whole, before.plan))
        return before, await editor.put_plan(whole, order)


async def _previewed(editor: PlanEditor, draft: PlanDraft, before: Plan) -> Plan:
    try:
        plan = draft.dealt(before)
    except ValueError as exc:
        raise PlanRefusedError(THE_PLAN, reason_of(exc)) from exc
    await editor.require_bundles(plan)
    return plan
