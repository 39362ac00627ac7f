"""Results of rows: what customers did with each row of the pages of an experiment."""

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.dataset.events import EventTable
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.mean import mean_interval
from models.experiments.analysis.moments import Moments
from models.experiments.analysis.outcome import outcomes
from models.experiments.plan.experiment import Unit

_ID = "recommendation_id"


class RowResult(BaseModel):
    """Row of a variant's pages, by its name. Events count that refer to the page."""

    model_config = ConfigDict(frozen=True)

    row: str
    pages: int = Field(description="Pages that asked for it.")
    filled: int = Field(description="Those of them in which it has sales.")
    shown: int = Field(description="Sales shown in it.")
    clicked: int = Field(description="Those of them that were clicked.")
    bought: int = Field(description="Those of them that were bought.")
    click_rate: Interval = Field(
        description="Clicked of shown sales; 95%, over units, from 25 clicks on."
    )


def row_results(
    exposures: pl.DataFrame, routed: pl.DataFrame, *, events: EventTable, unit: Unit
) -> dict[str, tuple[RowResult, ...]]:
    """Return the rows of the pages of each variant, in the order of their first page.

    Args:
        exposures: Rows of the file of exposures.
        routed: ``recommendation_id, unit_id, customer_id, now_us, variant`` of the answers that
            count, see `models.experiments.analysis.attribution.routed_answers`.
        events: Events of the same shop.
        unit: Assignment unit of the experiment.
    """
    if "rows" not in exposures.columns:
        return {}
    known = routed.select(_ID, "unit_id", "variant")
    pages = exposures.filter(pl.col("rows").list.len() > 0).join(known, on=_ID, how="inner")
    if not pages.height:
        return {}
    row = pl.col("rows").struct
    asked = (
        pages.sort("now", _ID)
        .select(_ID, "unit_id", "variant", "rows")
        .explode("rows")
        .with_columns(row=row.field("row").struct.field("name"), n=row.field("n_items"))
    )
    shown = _shown(pages, asked, did=outcomes(events, routed, unit=unit, left_out={}))
    return {
        str(variant): tuple(
            _row(str(name), of_row, shown=shown.filter(variant=variant, row=name))
            for (name,), of_row in of_variant.group_by("row", maintain_order=True)
        )
        for (variant,), of_variant in asked.group_by("variant", maintain_order=True)
    }


def _shown(pages: pl.DataFrame, asked: pl.DataFrame, *, did: pl.DataFrame) -> pl.DataFrame:
    """Return a line a shown sale: its page, unit, variant and row, and what was done with it."""
    each = asked.filter(pl.col("n") > 0).with_columns(pl.col("row").repeat_by("n")).explode("row")
    of_page = each.group_by(_ID, maintain_order=True).agg("row")
    sale_ids = pl.col("slate").list.eval(pl.element().struct.field("sale_id")).alias("sale_id")
    shown = (
        pages.select(_ID, "unit_id", "variant", sale_ids)
        .filter(pl.col("sale_id").list.len() > 0)
        .join(of_page, on=_ID, how="inner")
        .explode("row", "sale_id")
    )
    named = did.filter("names_answer").group_by(_ID, "sale_id")
    done = named.agg(clicked=(~pl.col("is_purchase")).any(), bought=pl.col("is_purchase").any())
    joined = shown.join(done, on=[_ID, "sale_id"], how="left")
    return joined.with_columns(pl.col("clicked", "bought").fill_null(value=False))


def _row(name: str, asked: pl.DataFrame, *, shown: pl.DataFrame) -> RowResult:
    by_unit = shown.group_by(pl.coalesce("unit_id", _ID)).agg(
        pl.col("clicked").sum().cast(pl.Float64), pl.len().cast(pl.Float64).alias("n")
    )
    columns = by_unit.select("clicked", "n", none=pl.lit(0.0)).to_numpy().astype(np.float64)
    return RowResult(
        row=name,
        pages=asked.height,
        filled=int((asked["n"] > 0).sum()),
        shown=shown.height,
        clicked=int(shown["clicked"].sum()),
        bought=int(shown["bought"].sum()),
        click_rate=mean_interval(Moments.from_columns(columns)),
    )
