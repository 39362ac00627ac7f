"""``python -m app plan``: show and apply the plan of experiments as a file, such as one in git."""

from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
import yaml

from app.bundles.bundle_repository import BundleRepository
from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    read_settings,
    with_stores,
)
from app.experiments.plan_editor import ChangeAuthor, PlanEditor
from app.experiments.plan_file import first_plan
from app.settings import Settings
from app.stores.plan import StoredPlan
from app.stores.store import Stores
from models.experiments.plan.difference import changes
from models.experiments.plan.plan_file import read_draft
from models.promotion.canary_plan import with_its_experiments

UNCHANGED: Final = "nothing to change"

plan_commands = typer.Typer(help="Show and apply the plan of experiments.", no_args_is_help=True)


def plan_editor(stores: Stores, settings: Settings) -> PlanEditor:
    """Return an editor of the plan over the stores of a command.

    Raises:
        PlanFileError: If the settings name a plan that cannot be read.
    """
    repository = BundleRepository.from_settings(settings)
    return PlanEditor(
        stores.plans, stores.bundles, stores.server, repository, first_plan(settings.plan)
    )


@plan_commands.command("show")
def show_plan(*, redis_url: RedisUrlOption = None, as_json: JsonOption = False) -> None:
    """Print the plan that all workers follow, in a form that can be applied."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error():
        stored = with_stores(settings, lambda stores: plan_editor(stores, settings).current())
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

    async def apply(stores: Stores) -> tuple[StoredPlan, StoredPlan]:
        editor = plan_editor(stores, settings)
        before = await editor.current()
        whole = with_its_experiments(draft, before.plan)
        if dry_run:
            return before, StoredPlan(before.version, await editor.preview(whole, before.plan))
        return before, await editor.put_plan(
            whole, ChangeAuthor(f"plan apply {file.name}", version)
        )

    with exit_on_user_error():
        draft = read_draft(file)
        before, after = with_stores(settings, apply)
    differences = changes(before.plan, after.plan)
    if as_json:
        versions = {"before": before.version, "version": after.version}
        typer.echo(orjson.dumps({**versions, "changes": differences}))
        return
    for line in differences or (UNCHANGED,):
        typer.echo(line)
    # On stderr: stdout holds the differences alone.
    typer.echo(f"version {before.version} → {after.version}", err=True)
