"""`/insight` in a browser, at a service with keys: an operator and a merchandiser at work."""

import json
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import write_keys
from models.scoring.model_card import Figure
from models.scoring.night_record import NightRecord, NightVerdict, add_night
from tests.bundles import recalibrated
from tests.end_to_end.service import Service, http, run, serving_shop, shop_settings
from tests.proofs import ROOT
from tests.shop import NDJSON
from tests.visitor import DESKTOP, PHONE, Visitor, visiting

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = [("desktop", DESKTOP), ("phone", PHONE)]
CUSTOMER = "c-insight"
HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Shop:
    """A service with keys, two bundles and exported results."""

    service: Service
    key: str
    read_key: str
    insight_key: str
    bundles: tuple[str, str]

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call the API with the key that opens all."""
        headers = {"X-API-Key": self.key}
        answer = http.request(method, self.service.url + path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()


def make_keys(path: Path) -> tuple[str, str, str]:
    """Write a key of all scopes, one of a website, and one that reads these pages."""
    scopes = ([*Scope], [Scope.READ, Scope.EVENTS], [Scope.INSIGHT])
    made = [(new_key(), opened) for opened in scopes]
    entries = [
        entry_of(key, key_id, scopes=scopes, created_at=datetime(2026, 11, 30, tzinfo=UTC))
        for (key_id, key), scopes in made
    ]
    write_keys(path, KeyFile(keys=tuple(entries)))
    first, second, third = (key for (_, key), _ in made)
    return first, second, third


def nights(bundle: str) -> tuple[NightRecord, NightRecord]:
    """A night that published a bundle, and one whose candidate was worse."""
    first, day = datetime(2026, 11, 29, 2, tzinfo=UTC), timedelta(days=1)
    return (
        NightRecord(
            started_at=first,
            ended_at=first + timedelta(minutes=31),
            verdict=NightVerdict.PUBLISHED,
            reasons=["no measure is significantly worse"],
            published=bundle,
        ),
        NightRecord(
            started_at=first + day,
            ended_at=first + day,
            verdict=NightVerdict.REJECTED,
            reasons=[f"shown_mrr is 0.041 below {bundle}"],
            candidate="20261130T000000-0c4e61f7a2b9",
            champion=bundle,
            judged_from=first - 2 * day,
            judged_until=first + day,
            differences={"shown_mrr": Figure(value=-0.041, low=-0.06, high=-0.022, n=812)},
        ),
    )


def visits(shop: Shop, n: int, *, customer: str = "c{}") -> None:
    """Customers look at their page, and click at its first sale."""
    for number in range(n):
        who = customer.format(number)
        slate = shop.call("GET", f"/v1/recommendations?customer_id={who}&limit=5")
        event = {
            "event_id": f"{who}-{number}",
            "customer_id": who,
            "type": "click",
            "sale_id": slate["items"][0]["sale_id"],
            "exposure_id": slate["recommendation_id"],
            "at": datetime.now(UTC).isoformat(),
        }
        shop.call("POST", "/v1/events", {"events": [event]})


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]
) -> Generator[Shop]:
    bundle, data = tiny_bundle
    folder = tmp_path_factory.mktemp("insight")
    first = recalibrated(bundle, folder / "bundles", shift=0.5).name
    second = recalibrated(bundle, folder / "bundles", shift=1.0).name
    for night in nights(first):
        add_night(folder / "bundles", night)
    key, read_key, insight_key = make_keys(folder / "keys.json")
    own = shop_settings(folder, folder / "bundles" / first) | {
        "VITRINE_KEYS": str(folder / "keys.json"),
        "VITRINE_PLAN": str(ROOT / "deploy/demo-plan.yaml"),
        "VITRINE_EXPORTS": str(folder / "exports"),
    }
    with serving_shop(folder, (folder / "bundles" / first, data), **own) as service:
        shop = Shop(service, key, read_key, insight_key, (first, second))
        visits(shop, 20)
        visits(shop, 3, customer=CUSTOMER)
        exported = run("app", "export-events", "--out", str(folder / "exports"), **own)
        assert exported.returncode == 0, exported.stderr
        yield shop


def enter(visitor: Visitor, shop: Shop, part: str, *, key: str = "") -> None:
    """Type the key that the page asks for; the refusal before it is a message of the browser's."""
    visitor.open(f"/insight#{part}")
    visitor.page.get_by_label("Key", exact=True).fill(key or shop.key)
    visitor.page.get_by_role("button", name="Use it").click()
    expect(visitor.page.get_by_role("button", name="Forget the key")).to_be_visible()
    visitor.complaints.clear()


def undisturbed(visitor: Visitor, name: str) -> None:
    visitor.keep(f"insight-{name}")
    assert (visitor.complaints, visitor.foreign, visitor.violations()) == ([], [], [])
    assert visitor.fits()


def test_a_key_of_a_website_opens_nothing_here(shop: Shop, browser: Browser) -> None:
    with visiting(browser, shop.service.url) as visitor:
        visitor.open("/insight#bundles")
        page = visitor.page
        expect(page.get_by_role("heading", name="This service asks for a key")).to_be_visible()
        page.get_by_label("Key", exact=True).fill(shop.read_key)
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("heading", name="This key opens something else")).to_be_visible()
        assert visitor.violations() == []


def test_a_key_of_insight_reads_every_part_and_changes_nothing(
    shop: Shop, browser: Browser
) -> None:
    refused = http.put(
        f"{shop.service.url}/v1/rules", json={"items": []}, headers={"X-API-Key": shop.insight_key}
    )
    assert refused.status_code == 403
    with visiting(browser, shop.service.url) as visitor:
        enter(visitor, shop, "traffic", key=shop.insight_key)
        for part in visitor.page.locator("#tabs a").all():
            part.click()
            expect(visitor.page.locator("#main h2").first).to_be_visible()
            visitor.page.wait_for_load_state("networkidle")

            # A refused call would be an error of the console.
            assert (part.inner_text(), visitor.complaints) == (part.inner_text(), [])


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_traffic_is_counted_while_one_looks(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "traffic")
        row = visitor.page.get_by_role("row", name="order:meta in full")
        expect(row).to_be_visible()
        before = int(row.get_by_role("cell").nth(4).inner_text())
        visits(shop, 7)
        expect(row.get_by_role("cell").nth(4)).to_have_text(str(before + 7))
        assert row.get_by_role("cell").nth(2).inner_text() == "7"
        expect(visitor.page.get_by_role("img", name="Answers a second: order:meta")).to_be_visible()
        undisturbed(visitor, f"traffic-{name}")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_sales_stand_in_the_models_order_with_reasons(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    orders = shop.call("GET", "/v1/orders?limit=50&market=fr")["orders"]
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "sales")
        page = visitor.page
        page.get_by_label("Market").select_option("fr")
        expect(page.get_by_role("columnheader", name="popularity")).to_be_visible()
        first = shop.call("GET", f"/v1/sales/{orders[0]['items'][0]['sale_id']}")["sale"]
        expect(page.get_by_role("row").nth(1)).to_contain_text(first["title"])
        undisturbed(visitor, f"sales-{name}")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_customer_is_shown_with_each_recommender_beside(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, f"customer/{CUSTOMER}")
        page = visitor.page
        expect(page.get_by_text("3 latest")).to_be_visible()
        expect(
            page.get_by_role("list", name="Events, the latest first").locator("li")
        ).to_have_count(3)
        expect(page.get_by_role("heading", name="collaborative")).to_be_visible()
        undisturbed(visitor, f"customer-{name}")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_an_experiment_says_what_its_intervals_say(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    """Of one variant hardly anyone sees: nothing is claimed."""
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "experiments")
        page = visitor.page
        expect(page.get_by_role("heading", name="order")).to_be_visible()
        expect(page.get_by_text("No unit could be analysed").first).to_be_visible()
        expect(page.get_by_role("row", name="meta control")).to_contain_text("100.0%")
        undisturbed(visitor, f"experiments-{name}")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_rules_are_changed_and_say_what_they_are_about(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    sale_id = shop.call("GET", "/v1/sales?limit=1&open=true")["items"][0]["sale"]["sale_id"]
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "rules")
        page = visitor.page
        rule = {"name": "no-tours", "where": 'category == "tour"', "action": {"kind": "exclude"}}
        page.get_by_label("All rules as JSON").fill(json.dumps([rule]))
        page.locator("[name=name]").fill("few-cities")
        page.get_by_label("Action").select_option("at_most")
        page.locator("[name=where]").fill('category == "hotel"')
        page.get_by_role("button", name="Add it to the text").click()
        page.get_by_role("button", name="Put these rules").click()
        expect(page.get_by_role("row", name="no-tours")).to_contain_text("holds for")
        expect(page.get_by_role("row", name="few-cities")).to_contain_text("at most (n 3)")
        page.locator("[name=name]").fill("hero")
        page.get_by_label("Action").select_option("pin")
        page.get_by_label("Rank").fill("2")
        page.get_by_label("or of one sale").fill(sale_id)
        page.locator("[name=ends_at]").fill("2100-01-01T12:00")
        page.get_by_label("Dry run").check()
        page.get_by_role("button", name="Add it to the text").click()
        page.get_by_role("button", name="Put these rules").click()
        row = page.get_by_role("row", name="hero dry run until 1 Jan 2100")
        expect(row).to_contain_text("pin (rank 2)")
        expect(row).to_contain_text("holds for 1 sale")
        put = shop.call("GET", "/v1/rules")["items"][2]["rule"]
        assert (put["where"], put["dry_run"]) == (f'sale_id == "{sale_id}"', True)
        undisturbed(visitor, f"rules-{name}")

        page.get_by_label("All rules as JSON").fill("[{")
        page.get_by_role("button", name="Put these rules").click()
        expect(page.get_by_text("This is no JSON")).to_be_visible()
        page.get_by_label("All rules as JSON").fill("[]")
        page.get_by_role("button", name="Put these rules").click()
        expect(page.get_by_text("No rules.")).to_be_visible()


def test_rules_that_could_not_be_read_cannot_be_replaced(shop: Shop, browser: Browser) -> None:
    with visiting(browser, shop.service.url) as visitor:
        enter(visitor, shop, "traffic")
        page = visitor.page
        expect(page.get_by_role("heading", name="Traffic now")).to_be_visible()
        page.context.set_offline(True)
        page.get_by_role("link", name="Rules").click()
        expect(page.get_by_text("the service cannot be reached")).to_be_in_viewport()
        changes = [
            page.get_by_label("All rules as JSON"),
            page.get_by_role("button", name="Put these rules"),
            page.get_by_role("button", name="Add it to the text"),
        ]
        for one in changes:
            expect(one).to_be_disabled()

        page.context.set_offline(False)
        page.get_by_role("button", name="Read them again").click()
        for one in changes:
            expect(one).to_be_enabled()
        expect(page.get_by_text("the service cannot be reached")).to_have_count(0)


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_topics_have_the_counts_of_their_sales(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    first = shop.call("GET", "/v1/topics")["items"][0]
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "topics")
        row = visitor.page.get_by_role("row").nth(1)
        expect(row).to_contain_text(first["name"])
        assert row.get_by_role("cell").last.inner_text() == str(first["n_purchases"])
        undisturbed(visitor, f"topics-{name}")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_drift_is_that_of_the_metrics(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    visits(shop, 1)
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "drift")
        page = visitor.page
        bands = page.get_by_role("list", name="Share of candidates by band").first.locator("li")
        expect(bands.first).to_contain_text("trained")
        shares = [float(one.split("%")[0]) for one in bands.locator(".number").all_inner_texts()]
        assert sum(shares) == pytest.approx(100, abs=1)
        undisturbed(visitor, f"drift-{name}")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_bundle_is_read_of_activated_and_rolled_back(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    first, second = shop.bundles
    shop.call("PUT", "/v1/bundles/active", {"bundle": first})
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "bundles")
        page = visitor.page
        expect(page.get_by_role("heading", name=f"Model card of {first}")).to_be_visible()
        expect(page.get_by_role("list", name="NDCG at 10")).to_be_visible()
        expect(page.get_by_role("img", name="Calibration: ")).to_be_visible()
        undisturbed(visitor, f"bundles-{name}")
        page.get_by_role("button", name=f"Activate {second}").click()
        page.get_by_role("button", name="Yes").click()
        expect(page.get_by_role("row", name=f"{second} answers")).to_be_visible()
        assert shop.call("GET", "/v1/recommendations")["bundle"] == second
        page.get_by_role("button", name="Roll back").click()
        page.get_by_role("button", name="Yes").click()
        expect(page.get_by_role("row", name=f"{first} answers")).to_be_visible()
        assert visitor.complaints == []


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_bundle_is_promoted_and_its_promotion_stopped(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    """The page follows by itself: workers score with the bundle in shadow within two seconds."""
    first, second = shop.bundles
    shop.call("PUT", "/v1/bundles/active", {"bundle": first})
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "bundles")
        page = visitor.page
        page.get_by_role("button", name=f"Promote {second}").click()
        page.get_by_role("button", name="No").click()
        assert shop.call("GET", "/v1/bundles")["wanted"]["shadow"] is None
        page.get_by_role("button", name=f"Promote {second}").click()
        page.get_by_role("button", name="Yes").click()
        promotions = page.get_by_role("region", name="Promotions, the latest first")
        expect(promotions.get_by_role("row").nth(1)).to_contain_text("shadow")
        bundles = page.get_by_role("region", name="Bundles, newest first")
        expect(bundles.get_by_role("row", name=second)).to_contain_text("shadow")
        undisturbed(visitor, f"promotion-{name}")
        promotions.get_by_role("button", name="Stop promotion").click()
        page.get_by_role("button", name="Yes").click()
        expect(promotions.get_by_role("row").nth(1)).to_contain_text("stopped on the insight page")
        assert shop.call("GET", "/v1/promotions")["items"][0]["stage"] == "stopped"
        assert shop.call("GET", "/v1/recommendations")["bundle"] == first
        assert visitor.complaints == []


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_nights_say_what_they_decided_and_why(
    shop: Shop, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    with visiting(browser, shop.service.url, size) as visitor:
        enter(visitor, shop, "nights")
        page = visitor.page
        expect(page.get_by_role("row").nth(1)).to_contain_text("rejected")
        expect(page.get_by_role("row").nth(1)).to_contain_text(f"below {shop.bundles[0]}")
        expect(page.get_by_role("row").nth(2)).to_contain_text("published")
        figures = page.get_by_role("list", name="Reciprocal rank in what was shown")
        expect(figures).to_contain_text("-0.04100 [-0.06000, -0.02200]")
        page.get_by_role("button", name="Figures of the night of 30 Nov 2026").click()
        expect(page.get_by_role("heading", name="candidate less what it was")).to_be_focused()
        undisturbed(visitor, f"nights-{name}")


def test_a_hostile_customer_is_text(shop: Shop, browser: Browser) -> None:
    with visiting(browser, shop.service.url) as visitor:
        enter(visitor, shop, f"customer/{CUSTOMER}")
        page = visitor.page
        page.get_by_label("Customer", exact=True).fill(HOSTILE)
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text(f"Nothing is known of “{HOSTILE}”")).to_be_visible()
        assert (visitor.complaints, visitor.foreign) == ([], [])


def test_sales_of_a_large_catalogue_are_named(shop: Shop, browser: Browser) -> None:
    """Of 5,500 sales of a market the page reads 5,000; each that ranks is known as it is now."""
    times = {"opens_at": "2026-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z"}
    for first in (0, 2_750):
        lines = "\n".join(
            json.dumps({"sale_id": f"l{n}", "title": f"Large {n}", "markets": ["large"], **times})
            for n in range(first, first + 2_750)
        )
        headers = NDJSON | {"X-API-Key": shop.key}
        http.post(f"{shop.service.url}/v1/sales", content=lines, headers=headers).raise_for_status()
    last = {"candidates": ["l0", "l5499"]}
    # New sales are in the catalogue within a second.
    while len(shop.call("POST", "/v1/rank", last)["items"]) < len(last["candidates"]):
        time.sleep(0.05)
    with visiting(browser, shop.service.url) as visitor:
        enter(visitor, shop, "sales")
        page = visitor.page
        page.get_by_label("Market").select_option("large")
        expect(page.get_by_text("First 20 of 5,000 or more open sales")).to_be_visible()
        rows = page.get_by_role("row", name="Large")
        expect(rows).to_have_count(20)
        expect(page.get_by_text("no closing time")).to_have_count(0)

        name = rows.first.locator("strong").inner_text()
        sale = shop.call("GET", f"/v1/sales/l{name.split()[-1]}")["sale"]
        shop.call("PUT", f"/v1/sales/{sale['sale_id']}", sale | {"closes_at": None})
        page.get_by_role("button", name="Rank").click()
        expect(page.get_by_text("no closing time")).to_have_count(1)
        assert visitor.complaints == []
