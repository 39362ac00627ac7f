"""``python -m app promotion``: the way of a bundle to its customers, from a terminal."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
import yaml
from pydantic import BaseModel, ValidationError

from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    editor_of,
    exit_on_user_error,
    opened,
    read_settings,
    store_url,
)
from app.errors import PromotionRefusedError
from app.promotion.promotion_desk import PromotionDesk
from app.settings import Settings
from models.experiments.plan.plan_file import reason_of
from models.promotion.estimate import OffPolicyEstimate
from models.promotion.promotion import Promotion
from models.promotion.rule import PromotionRules

M = TypeVar("M", bound=BaseModel)

WHO: Final = "promotion command"

ASKED: Final = "what you ask for"
NONE_YET: Final = "there was no promotion yet"

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
        asked = PromotionRules() if rules is None else _read(PromotionRules, rules)
    settings = read_settings(redis_url=redis_url)
    promotion = _at_desk(settings, lambda desk: desk.begin(bundle, asked, who=WHO))
    _print(promotion, as_json=as_json)


@promotion_commands.command("show")
def show_promotion(
    *, number: NumberOption = None, redis_url: RedisUrlOption = None, as_json: JsonOption = False
) -> None:
    """Print how far a promotion is, and every decision with its reason."""
    settings = read_settings(redis_url=redis_url)
    _print(_at_desk(settings, lambda desk: _found(desk, number)), as_json=as_json)


@promotion_commands.command("stop")
def stop_promotion(
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    number: NumberOption = None,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return all customers to the serving bundle, within two seconds."""

    async def stop(desk: PromotionDesk) -> Promotion:
        return await desk.stop((await _found(desk, number)).number, reason, who=WHO)

    settings = read_settings(redis_url=redis_url)
    _print(_at_desk(settings, stop), as_json=as_json)


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

    async def hand_in(desk: PromotionDesk) -> Promotion:
        return await desk.hand_in((await _found(desk, number)).number, estimate)

    settings = read_settings(redis_url=redis_url)
    _print(_at_desk(settings, hand_in), as_json=as_json)


def _at_desk(settings: Settings, ask: Callable[[PromotionDesk], Awaitable[Promotion]]) -> Promotion:
    async def asked(url: str) -> Promotion:
        async with opened(url) as stores:
            editor, has_exports = editor_of(stores, settings), settings.exports is not None
            return await ask(PromotionDesk(stores.promotions, editor, has_exports=has_exports))

    with exit_on_user_error(), store_url(settings) as url:
        return asyncio.run(asked(url))


async def _found(desk: PromotionDesk, number: int | None) -> Promotion:
    if number is not None:
        return await desk.get(number)
    known = await desk.all()
    if not known:
        raise PromotionRefusedError(ASKED, NONE_YET)
    return known[0]


def _read(model: type[M], file: Path) -> M:
    try:
        return model.model_validate(yaml.safe_load(file.read_bytes()))
    except (yaml.YAMLError, ValidationError) as exc:
        raise PromotionRefusedError(str(file), reason_of(exc)) from exc


def _print(promotion: Promotion, *, as_json: bool) -> None:
    if as_json:
        typer.echo(promotion.model_dump_json())
        return
    typer.echo(f"promotion {promotion.number}: bundle {promotion.candidate}, {promotion.stage}")
    for one in promotion.decisions:
        share = f" {one.share_bp} bp" if one.share_bp else ""
        typer.echo(f"  {one.at:%Y-%m-%d %H:%M:%S}  {one.stage}{share}: {one.reason}  ({one.who})")
