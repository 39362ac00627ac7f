"""``python -m app promotion``: begin, show and stop promotions, hand in estimates."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
import yaml
from pydantic import BaseModel, ValidationError

from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    read_settings,
    with_stores,
)
from app.cli.plan import plan_editor
from app.errors import PromotionRefusedError
from app.promotion.promotion_editor import PromotionEditor
from app.settings import Settings
from app.stores.store import Stores
from models.arrays.document import read_yaml
from models.domain.errors import UserError, reason_for
from models.promotion.estimate import OffPolicyEstimate
from models.promotion.promotion import Promotion
from models.promotion.rule import PromotionRules

M = TypeVar("M", bound=BaseModel)

WHO: Final = "promotion command"

NumberOption = Annotated[
    int | None, typer.Option("--number", min=1, help="The promotion; unset: the latest.")
]

promotion_commands = typer.Typer(
    help="Lead a bundle to all customers, step by step.", no_args_is_help=True
)


@promotion_commands.command("begin")
def begin_promotion(
    bundle: Annotated[str, typer.Argument(help="Id of the bundle.")],
    *,
    rules: Annotated[
        Path | None, typer.Option(help="YAML or JSON; what it leaves out is as usual.")
    ] = None,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle and begin its promotion; a running service leads it."""
    with exit_on_user_error():
        read = PromotionRules() if rules is None else _read(PromotionRules, rules)
    settings = read_settings(redis_url=redis_url)
    promotion = _edited(settings, lambda editor: editor.begin(bundle, read, who=WHO))
    _print(promotion, as_json=as_json)


@promotion_commands.command("show")
def show_promotion(
    *, number: NumberOption = None, redis_url: RedisUrlOption = None, as_json: JsonOption = False
) -> None:
    """Print how far a promotion is, and every decision with its reason."""
    settings = read_settings(redis_url=redis_url)
    _print(_edited(settings, lambda editor: _found(editor, number)), as_json=as_json)


@promotion_commands.command("stop")
def stop_promotion(
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    number: NumberOption = None,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return all customers to the serving bundle, within two seconds."""

    async def stop(editor: PromotionEditor) -> Promotion:
        return await editor.stop((await _found(editor, number)).number, reason, who=WHO)

    settings = read_settings(redis_url=redis_url)
    _print(_edited(settings, stop), as_json=as_json)


@promotion_commands.command("estimate")
def hand_in_estimate(
    file: Annotated[Path, typer.Argument(help="What `training off-policy --json` printed.")],
    *,
    number: NumberOption = None,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand in what the log of served answers says of the bundle."""
    with exit_on_user_error():
        estimate = _read(OffPolicyEstimate, file)

    async def set_estimate(editor: PromotionEditor) -> Promotion:
        return await editor.set_estimate((await _found(editor, number)).number, estimate)

    settings = read_settings(redis_url=redis_url)
    _print(_edited(settings, set_estimate), as_json=as_json)


def _edited(
    settings: Settings, edit: Callable[[PromotionEditor], Awaitable[Promotion]]
) -> Promotion:
    async def run(stores: Stores) -> Promotion:
        editor, has_exports = plan_editor(stores, settings), settings.exports is not None
        return await edit(PromotionEditor(stores.promotions, editor, has_exports=has_exports))

    with exit_on_user_error():
        return with_stores(settings, run)


async def _found(editor: PromotionEditor, number: int | None) -> Promotion:
    if number is not None:
        return await editor.get(number)
    known = await editor.recent()
    if not known:
        msg = "there was no promotion yet: begin one by `python -m app promotion begin BUNDLE`"
        raise UserError(msg)
    return known[0]


def _read(model: type[M], file: Path) -> M:
    try:
        return model.model_validate(read_yaml(file.read_bytes()))
    except (yaml.YAMLError, ValidationError) as exc:
        raise PromotionRefusedError(str(file), reason_for(exc)) from exc


def _print(promotion: Promotion, *, as_json: bool) -> None:
    if as_json:
        typer.echo(promotion.model_dump_json())
        return
    typer.echo(f"promotion {promotion.number}: bundle {promotion.candidate}, {promotion.stage}")
    for one in promotion.decisions:
        share = f" {one.share_bp} bp" if one.share_bp else ""
        typer.echo(f"  {one.at:%Y-%m-%d %H:%M:%S}  {one.stage}{share}: {one.reason}  ({one.who})")
