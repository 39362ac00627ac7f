"""Rules of a merchandiser: put over HTTP, obeyed by every answer, named, and made again."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.catalogue.model import Model
from app.cli.replay import Replayer, replay_all
from app.resources import Worker
from app.stores.store import Stores
from models.experiments.exposure import read_exposures
from tests.api.test_interleaving import exported, interleave, shelf
from tests.shop import BrokenRanker, sale, scorer

__all__ = ["shelf"]

NO_ROME = {"name": "no-rome", "where": 'sale_id == "rome"', "action": {"kind": "exclude"}}
BALI_FIRST = {"name": "bali", "where": 'sale_id == "bali"', "action": {"kind": "pin", "rank": 1}}
LESS_SKI = {
    "name": "less-ski",
    "where": 'category == "ski"',
    "action": {"kind": "boost", "odds": 0.1},
}


async def put(client: httpx.AsyncClient, *rules: dict[str, Any]) -> httpx.Response:
    return await client.put("/v1/rules", json={"items": list(rules)})


async def slate(client: httpx.AsyncClient, **params: str | int) -> dict[str, Any]:
    answer = await client.get("/v1/recommendations", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pinned(sale_id: str, rank: int) -> dict[str, Any]:
    action = {"kind": "pin", "rank": rank}
    return {"name": "pin", "where": f'sale_id == "{sale_id}"', "action": action}


def shown(answer: dict[str, Any]) -> list[str]:
    return [item["sale_id"] for item in answer["items"]]


async def test_rules_are_obeyed_and_named_by_the_next_answer(client: httpx.AsyncClient) -> None:
    """Of five sales rome is excluded, bali pinned, and ski buried; nice is of one market."""
    before = shown(await slate(client, market="fr"))
    buried = sorted(before, key=lambda sale_id: sale_id in {"alps", "tignes"})
    moved = {one for one, other in zip(before, buried, strict=True) if one != other}
    answered = await put(client, NO_ROME, BALI_FIRST, LESS_SKI)
    answer = await slate(client, market="fr")

    assert answered.status_code == 200, answered.text
    assert shown(answer)[:2] == ["bali", "nice"]
    assert sorted(shown(answer)[2:]) == ["alps", "tignes"]
    rules = {item["sale_id"]: item["rules"] for item in answer["items"]}
    assert (rules.pop("bali"), rules.pop("nice")) == (["bali"], [])
    assert {one for one, names in rules.items() if names == ["less-ski"]} == moved & {*rules}
    assert (answer["degraded"], answer["unmet_rules"]) == (None, [])


async def test_a_pin_of_a_sale_that_may_not_be_shown_is_named(client: httpx.AsyncClient) -> None:
    pin = {"name": "hero", "where": 'sale_id == "nice"', "action": {"kind": "pin", "rank": 1}}
    await put(client, pin)

    assert "nice" not in shown(await slate(client, market="de"))
    assert (await slate(client, market="de"))["unmet_rules"] == ["hero"]
    assert shown(await slate(client, market="fr"))[0] == "nice"


async def test_callers_candidates_that_a_rule_excludes_are_named(client: httpx.AsyncClient) -> None:
    await put(client, NO_ROME)

    answer = await client.post("/v1/rank", json={"candidates": ["rome", "bali", "gone"]})

    assert shown(answer.json()) == ["bali"]
    assert answer.json()["left_out"] == [
        {"sale_id": "rome", "reason": "rule"},
        {"sale_id": "gone", "reason": "unknown"},
    ]


async def test_a_rule_knows_a_sale_that_was_put_just_before_it(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """By another worker, which this one follows within a second."""
    await stores.sales.put([sale("oslo")])
    rule = {"name": "oslo", "where": 'sale_id == "oslo"', "action": {"kind": "exclude"}}

    (reviewed,) = (await put(client, rule)).json()["items"]

    assert (reviewed["n_matching"], reviewed["warnings"]) == (1, [])


async def test_the_list_says_what_each_rule_is_about_and_what_looks_wrong(
    client: httpx.AsyncClient,
) -> None:
    only = {"name": "spas", "where": 'category == "spa"', "action": {"kind": "only"}}
    later = {**NO_ROME, "starts_at": "2099-01-01T00:00:00Z"}
    await put(client, later, only)

    listed = await client.get("/v1/rules")

    first, second = listed.json()["items"]
    about = {"holds": False, "n_matching": 1, "spent": None, "is_stopped": False}
    assert first == {"rule": later, **about, "warnings": []}
    assert (second["holds"], second["n_matching"]) == (True, 0)
    assert second["warnings"] == [
        "none of the 5 open sales meets 'category == \"spa\"'",
        "with it none of the 5 open sales may be shown",
    ]
    assert listed.headers["ETag"] == f'"{listed.json()["version"]}"'


@pytest.mark.parametrize(
    ("rule", "status", "reason"),
    [
        ({**NO_ROME, "where": "price <"}, 422, "is no expression"),
        ({**NO_ROME, "where": None}, 422, "needs `where`"),
        (
            {**NO_ROME, "action": {"kind": "share", "of": 0.1, "worth": 1}},
            422,
            "leave `worth` of rule no-rome out",
        ),
        ({**NO_ROME, "when": "price < 3"}, 422, "put it into `where`"),
        ({**NO_ROME, "where": "stars > 3"}, 409, "no sale has an attribute 'stars'"),
        ({**NO_ROME, "action": {"kind": "hide"}}, 422, "action"),
        ({**BALI_FIRST, "action": {"kind": "pin", "rank": 0}}, 422, "greater than or equal to 1"),
        ({"name": "x", "action": {"kind": "at_most", "n": 1, "per": "hour"}}, 422, "bounds by"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_the_rules_stay(
    client: httpx.AsyncClient, rule: dict[str, Any], status: int, reason: str
) -> None:
    await put(client, NO_ROME)

    refused = await put(client, rule)

    assert (refused.status_code, reason in refused.text) == (status, True), refused.text
    assert [one["rule"] for one in (await client.get("/v1/rules")).json()["items"]] == [NO_ROME]


async def test_a_change_for_an_outdated_version_is_refused(client: httpx.AsyncClient) -> None:
    version = (await put(client, NO_ROME)).headers["ETag"]
    await put(client, BALI_FIRST)

    late = await client.put("/v1/rules", json={"items": []}, headers={"If-Match": version})

    assert late.status_code == 412
    [audited, *_] = (await client.get("/v1/experiments/audit")).json()["items"]
    assert audited["doing"] == "put the rules"
    assert any("rule bali" in change for change in audited["changes"])


async def test_a_rule_that_empties_one_market_is_warned_of(client: httpx.AsyncClient) -> None:
    """Nice is of the market fr, where four other sales are open too; in any other market four."""
    fr_only = {
        "name": "nice",
        "when": 'market == "fr"',
        "where": 'category == "spa"',
        "action": {"kind": "only"},
    }
    answer = await put(client, fr_only)

    [one] = answer.json()["items"]
    assert one["holds"]
    assert "with it none of the 5 open sales of market 'fr' may be shown" in one["warnings"]


async def test_rules_that_empty_a_market_together_name_each_other(
    client: httpx.AsyncClient,
) -> None:
    """Nice is of the market fr alone; a third rule has no part in it."""
    only = {"name": "nice", "where": 'sale_id == "nice"', "action": {"kind": "only"}}
    no_nice = {"name": "no-nice", "where": 'sale_id == "nice"', "action": {"kind": "exclude"}}

    answer = await put(client, NO_ROME, only, no_nice)
    empty = await slate(client, market="fr", limit=3)

    warnings = [one["warnings"] for one in answer.json()["items"]]
    assert warnings[0] == []
    assert warnings[1][-1] == "with it and no-nice none of the 5 open sales may be shown"
    assert warnings[2][-1] == "with it and nice none of the 5 open sales may be shown"
    assert (empty["items"], empty["unmet_rules"]) == ([], ["nice", "no-nice"])


async def test_what_a_usual_list_does_not_have_is_warned_of(client: httpx.AsyncClient) -> None:
    deep = {**BALI_FIRST, "action": {"kind": "pin", "rank": 11}}
    many = {"name": "m", "where": "price > 0", "action": {"kind": "at_least", "n": 12}}

    reviewed = (await put(client, deep, many)).json()["items"]
    answer = await slate(client, market="fr", limit=3)

    shorter = "shorter lists do not have: 10 sales unless a caller asks for more"
    assert f"it pins rank 11, which {shorter}" in reviewed[0]["warnings"]
    assert f"it asks for 12 of its sales, which {shorter}" in reviewed[1]["warnings"]
    assert answer["unmet_rules"] == ["bali", "m"]


async def test_a_market_that_no_sale_names_is_warned_of(client: httpx.AsyncClient) -> None:
    answer = await put(client, {**NO_ROME, "when": 'market in ["FR", "atlantis"]'})

    [one] = answer.json()["items"]
    assert one["warnings"] == ["no sale is of market 'atlantis', which its `when` names"]


async def test_two_rules_of_one_name_differ_in_times_and_dry_run_alone(
    client: httpx.AsyncClient,
) -> None:
    """A price is of a name."""
    layer = {"name": "page", "salt": "page-1"}
    variant = {
        "name": "dry",
        "share_bp": 5_000,
        "policy": {"rules": [{**NO_ROME, "dry_run": True}]},
    }
    control = {"name": "as-is", "share_bp": 5_000}
    terms = {"layer": "page", "salt": "s1", "traffic_bp": 5_000, "control": "as-is"}
    terms |= {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z"}
    await client.put("/v1/plan", json={"layers": [layer], "default": {"rules": [NO_ROME]}})

    alike = await client.put("/v1/experiments/a", json={**terms, "variants": [control, variant]})
    other = await put(client, {**NO_ROME, "where": 'sale_id == "nice"'})

    assert alike.status_code == 200, alike.text
    assert other.status_code == 409
    assert "two rules are named no-rome and differ" in other.text


class TestABrokenModel:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer(ranker=BrokenRanker()))

    async def test_rules_hold_without_a_model(self, client: httpx.AsyncClient) -> None:
        await put(client, NO_ROME, BALI_FIRST)

        answer = await slate(client)

        assert answer["degraded"] is not None
        assert shown(answer)[0] == "bali"
        assert "rome" not in shown(answer)


class TestBundles:
    @pytest.fixture
    def bundle(self, shelf: tuple[Path, Path]) -> Path:
        return shelf[0]

    async def test_answers_under_rules_are_made_again_to_the_bit(
        self,
        client: httpx.AsyncClient,
        stores: Stores,
        replayer: Replayer,
        tmp_path: Path,
    ) -> None:
        """Drawn by Plackett-Luce, with a pin, a boost and a bound by category."""
        sales = shown(await slate(client, limit=12))
        rules = [
            {
                "name": "pin",
                "where": f'sale_id == "{sales[-1]}"',
                "action": {"kind": "pin", "rank": 2},
            },
            {"name": "bound", "action": {"kind": "at_most", "n": 2, "per": "category"}},
            {"name": "boost", "where": "price > 300", "action": {"kind": "boost", "odds": 3}},
        ]
        drawn = {"kind": "plackett_luce", "temperature": 1.0}
        plan = {"default": {"exploration": drawn, "rules": rules}}
        assert (await client.put("/v1/plan", json=plan)).status_code == 200
        slates = {
            tuple(shown(await slate(client, customer_id=f"c{n}", limit=5))) for n in range(15)
        }
        await exported(stores.connection, tmp_path / "out", n=16)

        again = replay_all(read_exposures(tmp_path / "out"), replayer)

        assert len(slates) > 3
        assert {one[1] for one in slates} == {sales[-1]}
        assert (again.equal, again.differing, again.impossible) == (16, {}, {})

    async def test_interleaved_slates_obey_the_rules_of_the_plan(
        self, client: httpx.AsyncClient, shelf: tuple[Path, Path]
    ) -> None:
        sales = shown(await slate(client, limit=12))
        rules = [
            {"name": "no", "where": f'sale_id == "{sales[0]}"', "action": {"kind": "exclude"}},
            {
                "name": "pin",
                "where": f'sale_id == "{sales[5]}"',
                "action": {"kind": "pin", "rank": 3},
            },
        ]
        await interleave(client, shelf[1].name, traffic_bp=10_000)
        await put(client, *rules)

        answers = [await slate(client, customer_id=f"c{n}", limit=5) for n in range(10)]

        assert all(one["assignments"][0]["variant"] == "interleaved" for one in answers)
        assert {shown(one)[2] for one in answers} == {sales[5]}
        assert not any(sales[0] in shown(one) for one in answers)
        assert {len(shown(one)) for one in answers} == {5}


async def test_a_rule_that_spent_its_budget_stops_and_says_so(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await put(client, {**NO_ROME, "budget": 5.0})
    assert "rome" not in shown(await slate(client))
    await stores.spending.add({"no-rome": 5.0}, worker="w9", batch_id="b1")

    for _ in range(100):
        if "rome" in shown(await slate(client)):
            break
        await asyncio.sleep(0.1)

    [rule] = (await client.get("/v1/rules")).json()["items"]
    # Its own answers may have been priced before it learned of the other worker's.
    assert rule["spent"] >= 5.0
    assert (rule["is_stopped"], rule["holds"]) == (True, False)


async def test_a_campaign_gets_its_share_of_impressions(client: httpx.AsyncClient) -> None:
    share = {"name": "ski", "where": 'category == "ski"', "action": {"kind": "share", "of": 0.6}}
    assert (await put(client, share)).status_code == 200

    answers = [await slate(client, market="fr", limit=1) for _ in range(60)]

    own = sum(one["items"][0]["sale_id"] in {"alps", "tignes"} for one in answers)
    assert abs(own / 60 - 0.6) < 0.1
    refused = await put(client, {**share, "dry_run": True})
    assert refused.status_code == 422


async def test_a_rule_about_a_market_is_counted_there(client: httpx.AsyncClient) -> None:
    rule = {"name": "no-fr", "where": 'market == "fr"', "action": {"kind": "exclude"}}

    [one] = (await put(client, rule)).json()["items"]

    assert one["n_matching"] == 5
    assert one["warnings"] == ["with it none of the 5 open sales of market 'fr' may be shown"]


async def test_a_rule_that_holds_in_a_market_is_about_its_sales_alone(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await stores.sales.put([sale("york", markets=["uk"]), sale("nantes", markets=["fr"])])
    where = 'sale_id == "york" or sale_id == "nantes"'
    rule = {"name": "uk", "when": 'market == "uk"', "where": where, "action": {"kind": "exclude"}}

    [one] = (await put(client, rule)).json()["items"]

    assert (one["holds"], one["n_matching"]) == (True, 1)


SKI = 'category == "ski"'
PIN = {"name": "b", "where": 'sale_id == "nice"', "action": {"kind": "pin", "rank": 1}}


def share_of(share: float, where: str, name: str = "b") -> dict[str, object]:
    return {"name": name, "where": where, "action": {"kind": "share", "of": share}}


@pytest.mark.parametrize(
    ("first", "second", "warning"),
    [
        (
            {"name": "a", "where": SKI, "action": {"kind": "exclude"}},
            {"name": "b", "where": SKI, "action": {"kind": "at_least", "n": 1}},
            "it asks for 1 of its sales, and 0 may be shown by all rules",
        ),
        (
            {"name": "a", "where": SKI, "action": {"kind": "only"}},
            PIN,
            "it asks for 1 of its sales, and 0 may be shown by all rules",
        ),
        (
            {"name": "a", "action": {"kind": "at_most", "n": 1, "per": "category"}},
            {"name": "b", "where": SKI, "action": {"kind": "at_least", "n": 2}},
            "it asks for 2 of its sales, and 1 may be shown by all rules",
        ),
        (
            NO_ROME,
            share_of(0.3, SKI),
            "it asks for 3 of its sales in a list of 10, and 2 may be shown by all rules",
        ),
        (
            {**PIN, "name": "a", "where": SKI},
            PIN,
            "rank 1 is pinned by a: its sale stands at the next free one",
        ),
        (
            share_of(0.1, 'sale_id == "nice"', "a"),
            share_of(0.95, 'sale_id != "nice"'),
            "with a it asks for 1.05 of all impressions",
        ),
        (
            NO_ROME,
            {**PIN, "ends_at": "2020-01-01T00:00:00Z"},
            "it ended at 2020-01-01T00:00:00+00:00",
        ),
    ],
)
async def test_rules_that_cannot_do_what_they_ask_for_are_named(
    client: httpx.AsyncClient, first: dict[str, object], second: dict[str, object], warning: str
) -> None:
    """Five sales are open, two of them ski."""
    listed = await put(client, first, second)

    a, b = listed.json()["items"]
    assert not a["warnings"]
    assert warning in b["warnings"]


async def test_the_first_row_of_a_page_has_its_part_in_a_share(client: httpx.AsyncClient) -> None:
    share = {"name": "ski", "where": 'category == "ski"', "action": {"kind": "share", "of": 0.6}}
    await put(client, share)

    rows = [{"name": "first", "limit": 1}, {"name": "second", "limit": 1}]
    answers = [
        (await client.post("/v1/pages", json={"market": "fr", "rows": rows})).json()
        for _ in range(60)
    ]

    own = sum(one["rows"][0]["items"][0]["sale_id"] in {"alps", "tignes"} for one in answers)
    assert abs(own / 60 - 0.6) < 0.1
    metrics = (await client.get("/metrics")).text
    assert f'vitrine_share_impressions_total{{rule="ski",sales="own"}} {float(own)}' in metrics
    assert f'vitrine_share_impressions_total{{rule="ski",sales="other"}} {60.0 - own}' in metrics


async def test_lists_in_which_none_of_its_sales_may_stand_owe_a_share_nothing(
    client: httpx.AsyncClient,
) -> None:
    share = {"name": "ski", "where": 'category == "ski"', "action": {"kind": "share", "of": 0.3}}
    await put(client, share)
    for _ in range(30):
        await slate(client, market="fr", limit=1, filter='category == "beach"')

    answers = [await slate(client, market="fr", limit=1) for _ in range(30)]

    own = sum(one["items"][0]["sale_id"] in {"alps", "tignes"} for one in answers)
    assert abs(own / 30 - 0.3) < 0.1


async def test_pages_are_priced_in_their_first_row(
    client: httpx.AsyncClient, worker: Worker
) -> None:
    """One in twenty; a rule that moves nothing of the first row costs nothing there."""
    alps = {"name": "alps", "where": 'sale_id == "alps"', "action": {"kind": "pin", "rank": 1}}
    await put(client, alps, NO_ROME)
    rows = [{"name": "ski", "filter": SKI, "limit": 1}, {"name": "rest"}]

    for _ in range(200):
        await client.post("/v1/pages", json={"market": "fr", "rows": rows})

    read = worker.metrics.registry.get_sample_value
    assert (read("vitrine_priced_answers_total", {"rule": "alps"}) or 0.0) > 0
    lost = {"rule": "no-rome", "outcome": "lost"}
    assert read("vitrine_rule_outcomes_total", lost) == 0.0
