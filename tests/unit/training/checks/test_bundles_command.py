"""Bundles are listed, shown and compared by their model cards."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.arrays.array_file import Arrays
from models.features.context import device_code
from models.ranker.objective import TrainingObjective
from models.ranker.position_effect import PositionEffect
from models.ranker.two_stage import OFFSET_FILE
from models.scoring.bundle import read_bundle, write_bundle
from models.scoring.model_card import Figure, read_model_card
from models.scoring.scorer import Scorer
from tests.bundles import recalibrated
from training.checks.bundles_command import app
from training.checks.card_document import card_blocks, n_outcomes, outcomes
from training.checks.examined import examined_shares, examined_table
from training.report.block import Conclusion

# Differences to the meta-model: value and interval.
BELOW = (-0.1, -0.2, -0.05)
UNSURE = (-0.2, -0.5, 0.1)
ABOVE = (0.05, 0.03, 0.07)
# By its interval above; its p-value of 0.03 is 0.06 beside another scorer.
ABOVE_ALONE = (0.05, 0.005, 0.095)
WIDE = (0.06, -0.1, 0.2)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_card_says_what_was_learned_from_and_how_well(
    tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, _ = tiny_bundle
    page = tmp_path / "card.html"

    shown = run("show", bundle, "--report", page)
    card = json.loads(run("show", bundle, "--json").stdout)

    assert shown.exit_code == 0, shown.stderr
    manifest = read_bundle(bundle).manifest
    assert card["bundle"] == manifest.bundle_id
    said = " ".join(shown.stdout.split())
    assert said.startswith(f"{card['conclusion']['verdict']}: {card['conclusion']['text']}")
    assert card["conclusion"]["calibration"] in said
    assert card["trained_on"]["n_events"]["purchase"] > 0
    assert card["held_out"]["last"] < card["trained_on"]["until"] == manifest.until
    scorers = {
        "meta",
        "logistic",
        *manifest.recommenders,
        "most_bought",
        "last_touched",
        "item_cosine",
    }
    assert scorers <= card["figures"].keys()
    assert card["differences"].keys() == card["figures"].keys() - {"meta"}
    assert card["calibration"]["base_rate"]["n"] > 0
    assert set(manifest.recommenders) <= card["importances"].keys()
    assert "shown now at position 1" in " ".join(shown.stdout.split())
    assert "Model card of bundle" in page.read_text()
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_the_scorer_knows_what_its_probabilities_are_of(tiny_bundle: tuple[Path, Path]) -> None:
    bundle, _ = tiny_bundle

    assert Scorer.load(read_bundle(bundle)).probability_of == "shown_at_position_1"


def test_bundles_are_listed_and_one_that_is_broken_is_named(
    tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, _ = tiny_bundle
    whole = recalibrated(bundle, tmp_path, shift=0.0)
    broken = recalibrated(bundle, tmp_path, shift=0.1)
    (broken / "topics.npz").unlink()
    loaded = read_bundle(recalibrated(bundle, tmp_path, shift=0.2))
    manifest = loaded.manifest.model_copy(update={"awaits_traffic": True})
    waiting = write_bundle(tmp_path, manifest, files=loaded.files)

    found = run("list", "--bundles", tmp_path)
    listed = json.loads(run("list", "--bundles", tmp_path, "--json").stdout)["bundles"]

    assert whole.name in found.stdout
    assert broken.name not in found.stdout
    assert "topics.npz is missing" in found.stderr
    awaits = {one["bundle"]: one["awaits_traffic"] for one in listed}
    assert (awaits[whole.name], awaits[waiting.name]) == (False, True)
    assert "awaits traffic" in found.stdout
    assert "not comparable with `evaluate`" in " ".join(found.stdout.split())


@pytest.mark.parametrize(
    ("objective", "said"), [("click", "10 clicks or purchases"), ("value", "3 purchases")]
)
def test_a_bundle_is_listed_with_what_it_learned(
    tiny_bundle: tuple[Path, Path], objective: str, said: str
) -> None:
    card = read_model_card(read_bundle(tiny_bundle[0]))
    data = card.trained_on.model_copy(update={"n_events": {"click": 7, "purchase": 3}})
    update = {"objective": TrainingObjective(objective), "trained_on": data}

    changed = card.model_copy(update=update)

    assert f"{n_outcomes(changed)} {outcomes(changed)}" == said


def test_what_is_examined_is_shown_by_position_and_device(
    tiny_bundle: tuple[Path, Path],
) -> None:
    """Three positions: further ones have the last value; a phone has a curve of its own."""
    loaded = read_bundle(tiny_bundle[0])
    curves = np.array([[1.0, 0.5, 0.25], [1.0, 0.75, 0.125]])
    effect = PositionEffect(curves, np.array([device_code("mobile")]))
    arrays = {**Arrays.from_bytes(loaded.content(OFFSET_FILE)).arrays, **effect.to_arrays()}
    changed = replace(loaded, files={**loaded.files, OFFSET_FILE: Arrays(arrays).to_bytes()})

    shares = examined_shares(changed)

    assert shares == {
        "all devices": {1: 1.0, 2: 0.5, 3: 0.25, 5: 0.25, 10: 0.25, 20: 0.25},
        "mobile": {1: 1.0, 2: 0.75, 3: 0.125, 5: 0.125, 10: 0.125, 20: 0.125},
    }
    assert examined_table(shares).rows[1][:3] == ["mobile", "1.000", "0.750"]


def test_a_comparison_names_what_differs(tiny_bundle: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, _ = tiny_bundle
    loaded = read_bundle(bundle)
    other = recalibrated(bundle, tmp_path, shift=0.1)

    same = json.loads(run("compare", bundle, other, "--json").stdout)

    assert same["bundles"] == [loaded.id, other.name]
    assert same["differing"] == {}
    assert read_model_card(loaded).held_out.n_lists > 0


@pytest.mark.parametrize(
    ("gaps", "word", "name"),
    [
        ([BELOW, BELOW], "above its parts", "r0"),
        # The one of the highest mean is below, but another one may be above.
        ([BELOW, UNSURE], "cannot tell", "r1"),
        ([ABOVE_ALONE], "below", "r0"),
        ([ABOVE_ALONE, WIDE], "cannot tell", "r1"),
        # The one of the highest mean is unsure, but another one is above.
        ([WIDE, ABOVE], "below", "r1"),
    ],
)
def test_the_verdict_is_over_every_rival(
    tiny_bundle: tuple[Path, Path],
    gaps: list[tuple[float, float, float]],
    word: str,
    name: str,
) -> None:
    bundle = read_bundle(tiny_bundle[0])
    differences = {
        f"r{place}": {"mrr": Figure(value=value, low=low, high=high, n=100)}
        for place, (value, low, high) in enumerate(gaps)
    }
    card = read_model_card(bundle).model_copy(update={"differences": differences})

    verdict = next(card_blocks(card, bundle.manifest))

    assert isinstance(verdict, Conclusion)
    assert verdict.mark.word == word
    assert f", {name}," in verdict.text
