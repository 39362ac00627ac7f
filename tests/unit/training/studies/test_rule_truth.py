"""Prices of rules beside what the rules cost a simulated shop."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.builders import catalogue, query, sale, scorer
from training.__main__ import app
from training.studies.rule_truth import common_rules, prices_of

SALES = [sale(name, category=name[0]) for name in ("a1", "a2", "b1", "b2", "c1")]


def test_thirty_rules_are_of_the_most_frequent_categories() -> None:
    rules = common_rules([*"aaaaaa", *"bbbbb", *"cccc", *"ddd", *"ee", "f", None, None])

    assert len(rules.root) == 30
    assert {rule.where for rule in rules.root} == {f'category == "{one}"' for one in "abcde"}
    assert all(rule.dry_run for rule in rules.root)


def test_a_true_price_is_what_examined_sales_lose() -> None:
    """An exclusion moves the sales behind it up, a pin moves those before it down."""
    shop, known = catalogue(*SALES), scorer(SALES)
    asked = query(shop, candidates=["a1", "a2", "b1", "b2", "c1"])
    order = np.argsort(-known.score(asked).order, kind="stable").tolist()
    examined, gains = np.array([1.0, 0.5, 0.25, 0.2, 0.1]), np.array([0.3, 0.1, 0.2, 0.05, 0.4])
    rules = common_rules(["c", "c", "c", "a", "a", "b"])

    prices = prices_of(asked, known, rules=rules, gains=gains, examined=examined)

    def worth(places: list[int]) -> float:
        return float(examined[: len(places)] @ gains[places])

    by_name = dict(zip((rule.name for rule in rules.root), prices[:, 1].tolist(), strict=True))
    without_c = [place for place in order if place != 4]
    assert by_name["exclude-1"] == pytest.approx(worth(order) - worth(without_c))
    assert by_name["pin-1"] == pytest.approx(worth(order) - worth([4, *without_c]))
    assert by_name["at-least-1"] == 0.0


@pytest.mark.slow
def test_the_command_prices_thirty_rules_of_a_small_shop(
    tiny_bundle: tuple[Path, Path], picture_cache: Path
) -> None:
    bundle, data = tiny_bundle
    options = ["--bundle", str(bundle), "--data", str(data), "--cache", str(picture_cache)]
    limited = ["--max-visits", "30", "--json"]

    result = CliRunner().invoke(app, ["rule-truth", *options, *limited])

    assert result.exit_code == 0, result.output
    rules = json.loads(result.stdout)["rules"]
    assert len(rules) == 30
    assert any(one["true"]["value"] > 0 for one in rules)
