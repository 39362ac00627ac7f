"""The champion is the bundle that answers, whichever was published last."""

from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest

from models.domain.event import from_us
from models.experiments.exposure_record import FILE_COLUMNS
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Assignment
from models.promotion.count import CANDIDATE
from models.scoring.bundle import write_bundle
from tests.bundles import DRAFT
from tests.logs import HOUR, NOON
from tests.trials import RECORDED
from training.nightly.champion import Champion


def published(root: Path, *, until: str, judged_as: str, created_at: str = "") -> str:
    manifest = DRAFT.model_copy(
        update={"until": until, "judged_as": judged_as, "created_at": created_at}
    )
    return write_bundle(root, manifest, files={}).name


ON_TRIAL = Assignment("promotion-1", CANDIDATE, Unit.CUSTOMER, "c", 5_000)


def answered(folder: Path, *bundles: str, **columns: object) -> Path:
    """Record an answer of each bundle, an hour apart; the columns are those of the last."""
    rows = [
        {**RECORDED, "bundle_id": bundle, "now": from_us(NOON + number * HOUR)}
        for number, bundle in enumerate(bundles)
    ]
    rows[-1] |= columns
    pl.DataFrame(rows, schema=FILE_COLUMNS).write_parquet(folder / "exposures.parquet")
    return folder


def test_without_answers_the_newest_bundle_is_the_champion(tmp_path: Path) -> None:
    """Answers without a bundle are by popularity."""
    answered(tmp_path, "")
    old = published(tmp_path / "b", until="2025-06-01", judged_as="x")
    new = published(tmp_path / "b", until="2025-06-02", judged_as="y")

    found = Champion.find(tmp_path / "b", state=tmp_path, data=tmp_path, named=None)
    named = Champion.find(tmp_path / "b", state=tmp_path, data=tmp_path, named=tmp_path / "b" / old)

    assert (found and found.name, named and named.name) == (new, old)
    assert Champion.find(tmp_path / "none", state=tmp_path, data=tmp_path, named=None) is None


@pytest.mark.parametrize("answering", ["promoted", "before"])
def test_a_promoted_bundle_that_answers_is_the_champion(tmp_path: Path, answering: str) -> None:
    """The refitted champion of the same night is newer; what answered before does not count."""
    bundles = tmp_path / "b"
    ids = {
        "before": published(bundles, until="2025-06-01", judged_as="x"),
        "promoted": published(bundles, until="2025-06-02", judged_as="y", created_at="1"),
        "refitted": published(bundles, until="2025-06-02", judged_as="x", created_at="2"),
    }
    last = {"promoted": "promoted", "before": "refitted"}[answering]
    data = answered(tmp_path, ids["refitted"], ids["promoted"], ids[answering])

    found = Champion.find(bundles, state=tmp_path, data=data, named=None)

    assert found is not None
    assert found.name == ids[last]
    forms = {"promoted": ["promoted"], "before": ["before", "refitted"]}[answering]
    assert {*found.forms} == {ids[form] for form in forms}


@pytest.mark.parametrize("columns", [{"degraded": "variant"}, {"assignments": [asdict(ON_TRIAL)]}])
def test_answers_that_say_nothing_of_what_serves_are_left_out(
    tmp_path: Path, columns: dict[str, object]
) -> None:
    """Of a canary at half of the customers the candidate is not the champion."""
    serving = published(tmp_path / "b", until="2025-06-01", judged_as="x")
    other = published(tmp_path / "b", until="2025-06-02", judged_as="y")
    data = answered(tmp_path, serving, other, **columns)

    found = Champion.find(tmp_path / "b", state=tmp_path, data=data, named=None)

    assert (found and found.name) == serving


def test_an_evening_s_rollback_is_kept_by_the_night(tmp_path: Path) -> None:
    """Twenty answers of the day are by the bundle that was rolled back, the last one is not."""
    good = published(tmp_path / "b", until="2025-06-01", judged_as="x")
    bad = published(tmp_path / "b", until="2025-06-02", judged_as="y")
    data = answered(tmp_path, *[bad] * 20, good)

    found = Champion.find(tmp_path / "b", state=tmp_path, data=data, named=None)

    assert (found and found.name) == good


def test_a_refitted_bundle_is_evaluated_as_it_was_judged(tmp_path: Path) -> None:
    """As the candidate of its night, or as the first bundle, which was none; else as it is."""
    bundles = tmp_path / "b"
    first = published(bundles, until="2025-06-01", judged_as="")
    refitted = published(bundles, until="2025-06-03", judged_as=first)

    def judged() -> Path | None:
        found = Champion.find(bundles, state=tmp_path, data=tmp_path, named=bundles / refitted)
        return found and found.judged

    assert judged() == bundles / first
    candidate = tmp_path / "candidates" / first
    candidate.parent.mkdir()
    (bundles / first).rename(candidate)
    assert judged() == candidate
    candidate.rename(tmp_path / "gone")
    assert judged() == bundles / refitted


def test_an_answering_bundle_that_is_gone_leaves_the_newest(tmp_path: Path) -> None:
    kept = published(tmp_path / "b", until="2025-06-01", judged_as="x")

    found = Champion.find(
        tmp_path / "b", state=tmp_path, data=answered(tmp_path, "gone"), named=None
    )

    assert found is not None
    assert found.name == kept
