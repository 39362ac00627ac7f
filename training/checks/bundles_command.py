"""Commands ``python -m training bundles``: list, show and compare bundles, and copy them.

They are listed, shown and compared by their model cards, and copied to and from a storage.
"""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from models.scoring.bundle import (
    Bundle,
    BundleError,
    Manifest,
    bundle_directories,
    read_bundle,
    resolve_bundle,
)
from models.scoring.bundle_storage import BundleStorage
from models.scoring.model_card import ModelCard, read_model_card
from models.scoring.scorer import META
from training.checks.card_document import (
    NOT_COMPARABLE,
    best_part,
    card_blocks,
    card_conclusion,
    figure_text,
    n_outcomes,
    outcomes,
)
from training.checks.examined import examined_shares, examined_table
from training.console import BUNDLES, Bundles, Json, exit_on_user_error, print_json, with_folder
from training.pipeline.model_card import judged_calibration
from training.report.block import Table
from training.report.page import page
from training.report.terminal import print_blocks, print_table

app = typer.Typer(
    name="bundles", no_args_is_help=True, help="List, show, compare and copy bundles."
)

Named = Annotated[str, typer.Argument(help="Bundle: a directory, or an id.")]
Url = Annotated[str, typer.Argument(help="URL of a bundle storage, as s3://bucket/bundles.")]


@app.command("list")
def list_command(bundles: Bundles = BUNDLES, as_json: Json = False) -> None:
    """List the bundles of a directory, the newest last."""
    cards: list[tuple[Bundle, ModelCard]] = []
    for path in bundle_directories(bundles):
        try:
            bundle = read_bundle(path)
            cards.append((bundle, read_model_card(bundle)))
        except BundleError as exc:
            typer.echo(f"left out: {exc}", err=True)
    cards.sort(key=lambda one: one[0].manifest.age_order)
    figures = [card.figures.get(META, {}).get("mrr") for _, card in cards]
    if as_json:
        found: list[JsonValue] = [
            {
                "bundle": bundle.id,
                "until": bundle.manifest.until,
                "objective": card.objective.value,
                "probability_of": card.probability_of.value,
                "n_events": dict(card.trained_on.n_events),
                "held_out_mrr": figure and figure.model_dump(),
                "awaits_traffic": bundle.manifest.awaits_traffic,
            }
            for (bundle, card), figure in zip(cards, figures, strict=True)
        ]
        print_json({"bundles": found})
        return
    rows = [
        [
            f"{bundle.id}\nawaits traffic" if bundle.manifest.awaits_traffic else bundle.id,
            card.objective.value,
            f"{n_outcomes(card):,} {outcomes(card)}",
            f"{figure_text(figure)}\n{card.held_out.kind} lists",
        ]
        for (bundle, card), figure in zip(cards, figures, strict=True)
    ]
    columns = ["bundle", "objective", "learned from", "held-out mrr"]
    print_table(Table(f"Bundles in {bundles}", columns, rows))
    typer.echo(f"mrr: {NOT_COMPARABLE}")


@app.command("show")
def show_command(
    bundle: Named,
    bundles: Bundles = BUNDLES,
    report: Annotated[
        Path | None,
        typer.Option(help="HTML page to write.", dir_okay=False, callback=with_folder),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the model card of a bundle."""
    with exit_on_user_error():
        loaded = read_bundle(resolve_bundle(bundle, bundles))
        card = read_model_card(loaded)
        examined = examined_shares(loaded)
        blocks = [*card_blocks(card, loaded.manifest), examined_table(examined)]
        if report is not None:
            report.write_text(page(f"Model card of bundle {loaded.id}", blocks), encoding="utf-8")
    if as_json:
        found = card_conclusion(card)
        conclusion: dict[str, JsonValue] = {
            "verdict": found.mark.word,
            "text": found.text,
            "calibration": judged_calibration(card) or None,
        }
        by_device: dict[str, JsonValue] = {
            name: {str(position): share for position, share in shares.items()}
            for name, shares in examined.items()
        }
        said: dict[str, JsonValue] = {"conclusion": conclusion, "p_examined": by_device}
        print_json({"bundle": loaded.id, **said, **card.model_dump(mode="json")})
    else:
        print_blocks(blocks)


@app.command("compare")
def compare_command(
    first: Named, second: Named, bundles: Bundles = BUNDLES, as_json: Json = False
) -> None:
    """Print what differs between two bundles: data, configuration, parts and figures."""
    with exit_on_user_error():
        loaded = [read_bundle(resolve_bundle(one, bundles)) for one in (first, second)]
        cards = [read_model_card(one) for one in loaded]
    sides = [_described(one.manifest, card) for one, card in zip(loaded, cards, strict=True)]
    names = list(dict.fromkeys(name for side in sides for name in side))
    differing = [name for name in names if sides[0].get(name) != sides[1].get(name)]
    if as_json:
        pairs: dict[str, JsonValue] = {
            name: [side.get(name) for side in sides] for name in differing
        }
        print_json({"bundles": [one.id for one in loaded], "differing": pairs})
        return
    rows = [[name, *(side.get(name, "-") for side in sides)] for name in differing]
    print_table(Table("What differs", ["", *(one.id for one in loaded)], rows, of_words=True))
    if cards[0].held_out != cards[1].held_out:
        typer.echo(
            "the figures are of different lists: `evaluate --bundle ID --against ID` judges both "
            "on the same ones",
            err=True,
        )


@app.command("push")
def push_command(
    url: Url,
    bundle: Annotated[
        str | None, typer.Argument(help="Bundle: a directory, or an id. Default: the newest.")
    ] = None,
    bundles: Bundles = BUNDLES,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove all but so many of the newest there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy a bundle to a storage, where it is seen once it is whole."""
    with exit_on_user_error():
        storage = BundleStorage.open(url)
        pushed = storage.publish(resolve_bundle(bundle, bundles))
        removed = [] if keep is None else storage.keep(keep, also=frozenset({pushed}))
    if as_json:
        print_json({"pushed": pushed, "removed": list[JsonValue](removed)})
    else:
        gone = f"; removed {', '.join(removed)}" if removed else ""
        typer.echo(f"{pushed} is in {url}{gone}")


@app.command("pull")
def pull_command(
    url: Url,
    bundle: Annotated[str | None, typer.Argument(help="Its id. Default: the newest.")] = None,
    bundles: Bundles = BUNDLES,
    as_json: Json = False,
) -> None:
    """Copy a bundle from a storage, whole or not at all."""
    with exit_on_user_error():
        storage = BundleStorage.open(url)
        path = storage.fetch(bundle or storage.newest(), bundles)
    if as_json:
        print_json({"pulled": path.name, "directory": str(path)})
    else:
        typer.echo(f"{path.name} is in {bundles}")


def _described(manifest: Manifest, card: ModelCard) -> dict[str, str]:
    """Return what two bundles are compared by, as texts."""
    best = best_part(card)
    return {
        "until": manifest.until,
        "data": manifest.data_fingerprint,
        "seed": str(manifest.seed),
        "recommenders": ", ".join(manifest.recommenders),
        "scene model": manifest.scene_model[:12],
        "probability of": card.probability_of.value,
        **{name: str(value) for name, value in _flat(manifest.config)},
        **{f"events: {name}": f"{n:,}" for name, n in card.trained_on.n_events.items()},
        "sales": f"{card.trained_on.n_sales:,}",
        **{
            f"{META}: {metric}": " ".join(figure_text(one).split())
            for metric, one in card.figures.get(META, {}).items()
        },
        "held-out lists": f"{card.held_out.n_lists:,} {card.held_out.kind}",
        "best part": "-" if best is None else best[0],
    }


def _flat(config: dict[str, JsonValue], prefix: str = "") -> list[tuple[str, JsonValue]]:
    found: list[tuple[str, JsonValue]] = []
    for name, value in config.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found
