"""Guaranteed shares of impressions: kept over answers, at less loss than pins."""

from collections.abc import Sequence

import numpy as np
import pytest

from app.observability import Metrics
from app.recommend.impression_shares import Delivered, ImpressionShares
from app.recommend.ranking import Ranking
from models.experiments.exposure_record import ShownItem
from models.rules.rule import SlateRules
from models.slate.slate import make_slate
from models.slate.slate_policy import PlackettLuce, SlatePolicy
from tests.proofs import Proof
from tests.unit.models.slate.test_ruled_slate import question, sales, scores

N_SALES = 60
LIMIT = 10
CAMPAIGN = 'category == "ski"'
EXAMINED = 1.0 / np.arange(1, LIMIT + 1) ** 0.5


def policy(action: dict[str, object], exploration: PlackettLuce | None = None) -> SlatePolicy:
    rule = {"name": "campaign", "where": CAMPAIGN, "action": action}
    return SlatePolicy(rules=SlateRules.model_validate([rule]), exploration=exploration)


def chances(rng: np.random.Generator, n: int) -> Sequence[list[float]]:
    """Probabilities of the sales for each answer: those of the campaign are half as likely."""
    own = np.where(np.arange(N_SALES) % 6, 1.0, 0.5)
    taste = np.exp(rng.normal(0.0, 1.0, size=(n, N_SALES)))
    return np.minimum(0.01 * taste * own, 0.9).tolist()


def run(given: SlatePolicy, answers: Sequence[list[float]]) -> tuple[float, float]:
    """Return the campaign's share of impressions, and the expected outcomes an answer."""
    described = [("beach" if number % 6 else "ski", None) for number in range(N_SALES)]
    query = question(sales(*described))
    shares, n_own, outcomes = ImpressionShares(Metrics().rules), 0, 0.0
    for seed, probabilities in enumerate(answers):
        applied = shares.applied(given)
        slate = make_slate(query, scores(probabilities), policy=applied, limit=LIMIT, seed=seed)
        picks: list[int] = slate.picks.tolist()
        items = tuple(ShownItem(str(p), 1, 1.0, probabilities[p]) for p in picks)
        shares.record(Ranking(items, "", None, shares=slate.shares))
        n_own += sum(p % 6 == 0 for p in picks)
        outcomes += float(EXAMINED @ np.array([probabilities[p] for p in picks]))
    return n_own / (LIMIT * len(answers)), outcomes / len(answers)


@pytest.mark.prove
@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_a_share_is_kept_within_two_points_at_less_loss_than_pins(
    rng: np.random.Generator, proof: Proof, share: float
) -> None:
    """Beside as many pins at the top, as many places of each slate, and the best fixed worth."""
    answers = chances(rng, max(proof.scale(10_000), 500))

    natural, as_it_is = run(policy({"kind": "boost", "odds": 1.0}), answers)
    kept, by_share = run(policy({"kind": "share", "of": share}), answers)
    n = round(share * LIMIT)
    fixed, by_places = run(policy({"kind": "at_least", "n": n}), answers)
    pins = [
        {"name": f"p{rank}", "where": CAMPAIGN, "action": {"kind": "pin", "rank": rank}}
        for rank in range(1, n + 1)
    ]
    pinned, by_pins = run(SlatePolicy(rules=SlateRules.model_validate(pins)), answers)

    assert natural < share
    assert abs(kept - share) < 0.02
    assert as_it_is - by_share < 0.5 * (as_it_is - by_pins)
    assert min(fixed, pinned) >= share - 1e-9
    assert by_share > by_places
    proof.record(
        f"share_of_impressions_{share:g}",
        {
            "answers": len(answers),
            "share": share,
            "natural": natural,
            "kept": kept,
            "loss": as_it_is - by_share,
            "pinned": pinned,
            "loss_pinned": as_it_is - by_pins,
            "at_least": fixed,
            "loss_at_least": as_it_is - by_places,
            "outcomes": as_it_is,
        },
    )


def test_a_share_is_kept_beside_exploration(rng: np.random.Generator) -> None:
    drawn = PlackettLuce(temperature=1.0, share=0.5)

    kept, _ = run(policy({"kind": "share", "of": 0.3}, drawn), chances(rng, 1_000))

    assert abs(kept - 0.3) < 0.02


def test_a_share_that_is_there_anyway_costs_nothing(rng: np.random.Generator) -> None:
    answers = chances(rng, 200)

    _, with_it = run(policy({"kind": "share", "of": 0.01}), answers)
    _, without = run(policy({"kind": "boost", "odds": 1.0}), answers)

    assert with_it == pytest.approx(without, rel=1e-3)


def test_the_worth_is_what_is_missing_by_the_root_of_what_was_shown() -> None:
    delivered = Delivered(n_all=100, n_own=10, sum_probabilities=2.0)

    assert delivered.worth(0.3) == pytest.approx(0.02 * 20 / 10)
    assert delivered.worth(0.1) == 0.0
    assert Delivered().worth(0.5) == 0.0


def test_the_last_sales_give_way_to_those_of_the_campaign_that_lose_less_than_the_worth() -> None:
    """Of 0.5, 0.4, 0.3 | 0.25, 0.1: the second of the campaign would lose 0.3."""
    described = [("beach", None), ("beach", None), ("beach", None), ("ski", None), ("ski", None)]
    query, found = question(sales(*described)), scores([0.5, 0.4, 0.3, 0.25, 0.1])
    given = policy({"kind": "share", "of": 0.5})

    picks = {
        worth: make_slate(
            query,
            found,
            policy=given.model_copy(update={"rules": given.rules.worth([worth])}),
            limit=3,
            seed=1,
        ).picks.tolist()
        for worth in (0.04, 0.06, 0.31)
    }

    assert picks == {0.04: [0, 1, 2], 0.06: [0, 1, 3], 0.31: [0, 3, 4]}


def test_what_is_recorded_of_a_share_is_what_it_was_worth_then() -> None:
    shares = ImpressionShares(Metrics().rules)
    given = policy({"kind": "share", "of": 0.5})
    item = ShownItem("s1", 1, 1.0, 0.1)
    shares.record(Ranking((item,) * 4, "", None, shares=(("campaign", 0),)))

    recorded = shares.applied(given).rules.live_json

    assert recorded is not None
    assert SlateRules.from_record(recorded).root[0].action.model_dump()["worth"] == 0.1
