"""`/demo` in a browser: a person looks, acts as a customer, and sees the page change."""

import json
import re
import shutil
import time
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.test_covers import COVERS
from tests.bundles import choosing
from tests.end_to_end.service import START_TIMEOUT_S, Service, http, serving_shop
from tests.proofs import ROOT
from tests.shop import NDJSON
from tests.visitor import DESKTOP, PHONE, Visitor, visiting

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = [("desktop", DESKTOP), ("phone", PHONE)]
MARKET = "<b>m</b>"
HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


@pytest.fixture(scope="module")
def data(tiny_bundle: tuple[Path, Path]) -> Path:
    return tiny_bundle[1]


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]
) -> Generator[Service]:
    own = {
        "VITRINE_DEMO": str(tiny_bundle[1]),
        "VITRINE_PLAN": str(ROOT / "deploy/demo-plan.yaml"),
    }
    with serving_shop(tmp_path_factory.mktemp("window"), tiny_bundle, **own) as service:
        yield service


@pytest.fixture(scope="module")
def three_pictures(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]
) -> Generator[Service]:
    """A shop whose sales have three pictures each, and whose plan never shows the first."""
    folder = tmp_path_factory.mktemp("covers")
    bundle, data = tiny_bundle
    copied = folder / "shop"
    shutil.copytree(data, copied)
    sales = pl.read_parquet(copied / "sales.parquet")
    own = sales["image"]
    images = pl.DataFrame([own, own.shift(-1), own.shift(-2)], schema=["a", "b", "c"])
    lists = images.select(pl.concat_list("a", "b", "c"))["a"].alias("image")
    sales.with_columns(lists).write_parquet(copied / "sales.parquet")
    others = replace(COVERS, agreement=np.zeros(2))
    chooser = choosing(bundle, folder / "shelf", covers=others)
    with serving_shop(folder, (chooser, copied), VITRINE_DEMO=str(copied)) as service:
        chosen = {"default": {"covers": {"temperature": 0.05, "even_share": 0.0}}}
        assert http.put(f"{service.url}/v1/plan", json=chosen).status_code == 200
        yield service


def undisturbed(visitor: Visitor) -> None:
    assert (visitor.complaints, visitor.foreign, visitor.violations()) == ([], [], [])
    assert visitor.fits()


def await_listed(service: Service, market: str) -> None:
    """Wait until a new sale is in the catalogue, which takes a second."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not http.get(f"{service.url}/v1/sales", params={"market": market}).json()["items"][:1]:
        assert time.monotonic() < deadline, market
        time.sleep(0.05)


def take_someone_new(page: Page) -> None:
    """Choose a customer of whom nothing is known."""
    page.get_by_role("button", name="Someone new").click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()


def events_of(service: Service, visitor: Visitor) -> list[tuple[str, str]]:
    """Type and sale of what the service knows of the first page's customer, oldest first."""
    customer = visitor.page.locator("select[name=customer]").first.input_value()
    known = http.get(f"{service.url}/v1/customers/{customer}").json()
    return [(one["type"], one["sale_id"]) for one in known["events"]]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_customer_acts_and_the_page_changes_at_once(
    service: Service, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    with visiting(browser, service.url, size) as visitor:
        visitor.open("/")
        page = visitor.page
        take_someone_new(page)
        first = page.locator("[data-row='first'] .card").first
        sale_id, title = first.get_attribute("data-sale"), first.locator(".title").inner_text()

        first.locator(".title button").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name=title)).to_be_visible()
        expect(dialog.get_by_text("Why it is shown")).to_be_visible()
        visitor.keep(f"demo-sale-{name}")
        undisturbed(visitor)
        dialog.get_by_role("button", name="Like").click()
        expect(page.get_by_role("status").first).to_contain_text("liked")
        expect(page.locator(".side .events li")).to_have_count(2)
        bought = page.locator("[data-row='first'] .card").nth(1).get_attribute("data-sale")
        page.locator(f"[data-sale='{bought}'] [data-act='purchase']").first.click()
        expect(page.locator(".side .events li")).to_have_count(3)
        visitor.keep(f"demo-{name}")

        assert events_of(service, visitor) == [
            ("click", sale_id),
            ("favourite", sale_id),
            ("purchase", bought),
        ]
        undisturbed(visitor)

        page.get_by_role("button", name="Forget this customer").click()
        expect(page.get_by_text("Nothing yet.")).to_be_visible()
        assert events_of(service, visitor) == []


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_chosen_cover_stands_for_a_sale_and_is_sent_back(
    three_pictures: Service, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    with visiting(browser, three_pictures.url, size) as visitor:
        visitor.open("/demo")
        page = visitor.page
        take_someone_new(page)
        card = page.locator("[data-row='first'] .card").first
        expect(card.locator(".cover")).to_have_text(re.compile("^picture [23] of 3$"))
        text = card.locator(".cover").inner_text()
        cover = int(text.split()[1])
        sale_id = card.get_attribute("data-sale")
        source = card.locator("img").get_attribute("src")
        visitor.keep(f"demo-covers-{name}")

        card.locator(".title button").click()
        expect(page.get_by_role("dialog").locator(".cover")).to_have_text(text)
        visitor.keep(f"demo-covers-sale-{name}")
        customer = page.locator("select[name=customer]").input_value()
        expect(page.locator(".side .events li")).to_have_count(1)
        known = http.get(f"{three_pictures.url}/v1/customers/{customer}").json()["events"]

        assert source == f"demo/pictures/{sale_id}?number={cover}"
        assert [(one["type"], one["sale_id"], one["cover"]) for one in known] == [
            ("click", sale_id, cover)
        ]
        undisturbed(visitor)


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_two_variants_stand_side_by_side(
    service: Service, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    with visiting(browser, service.url, size) as visitor:
        visitor.open("/demo")
        page = visitor.page
        page.get_by_role("button", name="Two pages side by side").click()
        other = page.get_by_role("region", name="Page B")
        expect(other.get_by_text("order: popularity (forced)")).to_be_visible()
        expect(other.get_by_text("Ordered by 'popularity', not by").first).to_be_visible()
        visitor.keep(f"demo-two-{name}")

        undisturbed(visitor)


def test_the_way_back_leads_to_the_chosen_customer(service: Service, browser: Browser) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo")
        page = visitor.page
        page.locator("select[name=customer]").select_option(index=2)
        page.locator("select[name=variant]").select_option("order:popularity")
        chosen = page.locator("select[name=customer]").input_value()
        expect(page.get_by_role("heading", name=f"Picked for {chosen}")).to_be_visible()
        page.get_by_role("link", name="Insight").click()
        expect(page.get_by_role("heading", name="Traffic now")).to_be_visible()
        page.go_back()

        expect(page.get_by_role("heading", name=f"Picked for {chosen}")).to_be_visible()
        assert page.locator("select[name=variant]").input_value() == "order:popularity"
        assert visitor.complaints == []


def test_each_choice_is_a_step_of_the_history(service: Service, browser: Browser) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo")
        page = visitor.page
        customers = page.locator("select[name=customer]")
        expect(page.locator("[data-row='first'] .card").first).to_be_visible()
        first, market = customers.input_value(), page.locator("select[name=market]")
        customers.select_option(index=2)
        second = customers.input_value()
        market.select_option("")
        page.go_back()
        expect(market).not_to_have_value("")
        expect(page.get_by_role("heading", name=f"Picked for {second}")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name=f"Picked for {first}")).to_be_visible()
        expect(customers).to_have_value(first)
        page.go_forward()
        expect(page.get_by_role("heading", name=f"Picked for {second}")).to_be_visible()

        assert visitor.complaints == []


def test_the_address_says_what_is_shown(service: Service, browser: Browser) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo#customer=nosuch&market=&device=fridge&variant=order:nope")
        page = visitor.page
        expect(page.get_by_role("heading", name="Picked for nosuch")).to_be_visible()

        expect(page).to_have_url(
            f"{service.url}/demo#customer=nosuch&market=&device=mobile&variant="
        )
        assert visitor.complaints == []


def test_what_was_seen_for_a_second_is_an_impression(service: Service, browser: Browser) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo")
        page = visitor.page
        take_someone_new(page)
        customer = page.locator("select[name=customer]").input_value()
        with page.expect_response(lambda answer: answer.url.endswith("/v1/events")):
            pass

        known = http.get(f"{service.url}/v1/customers/{customer}").json()
        first = page.locator("[data-row='first'] .card").first.get_attribute("data-sale")
        assert (first, 1) in {(one["sale_id"], one["position"]) for one in known["shown"]}


def test_a_new_sale_is_labelled_and_placed(service: Service, browser: Browser, data: Path) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo")
        page = visitor.page
        page.get_by_role("button", name="Put up a new sale").click()
        page.locator("[name=title]").fill("A week on the quay")
        page.locator("[name=picture]").set_input_files(next((data / "images").glob("*.jpg")))
        page.get_by_role("button", name="Put it up").click()
        expect(page.locator(".placed")).to_contain_text("Place ")
        visitor.keep("demo-new-sale")
        undisturbed(visitor)

        listed = http.get(f"{service.url}/v1/sales?limit=1000&open=true").json()["items"]
        (new,) = [one["sale"] for one in listed if one["sale"]["title"] == "A week on the quay"]
        seen = http.get(f"{service.url}/v1/sales/{new['sale_id']}").json()
        assert (
            seen["picture"]["labels"][0]["label"].replace("_", " ")
            in page.locator(".placed").inner_text()
        )
        http.delete(f"{service.url}/v1/sales/{new['sale_id']}")


def test_a_hostile_title_is_text(service: Service, browser: Browser) -> None:
    now = datetime.now(UTC)
    evil = {
        "sale_id": "evil/<i>'\"",
        **dict.fromkeys(("title", "description"), HOSTILE),
        **dict.fromkeys(("destination", "country", "category"), "<b>x</b>"),
        "markets": [MARKET],
        "opens_at": (now - timedelta(minutes=5)).isoformat(),
        "closes_at": (now + timedelta(hours=2)).isoformat(),
    }
    assert (
        http.post(f"{service.url}/v1/sales", content=json.dumps(evil), headers=NDJSON).json()[
            "created"
        ]
        == 1
    )
    await_listed(service, MARKET)
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo")
        page = visitor.page
        page.locator("select[name=market]").select_option(MARKET)
        shown = page.locator("[data-row='first']").get_by_role("button", name=HOSTILE, exact=True)
        expect(shown).to_be_visible()
        shown.click()
        expect(page.get_by_role("dialog").get_by_role("heading", name=HOSTILE)).to_be_visible()

        assert page.title() == "Shop window – Vitrine"
        assert (visitor.complaints, visitor.foreign) == ([], [])
    http.delete(f"{service.url}/v1/sales/evil%2F%3Ci%3E'%22")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_long_turned_title_and_a_missing_one_stay_in_their_cards(
    service: Service, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    """A title of 900 letters after a control that turns what follows, and a sale without one."""
    now = datetime.now(UTC)
    times = {
        "opens_at": (now - timedelta(minutes=5)).isoformat(),
        "closes_at": (now + timedelta(days=3)).isoformat(),
    }
    titles = {f"long-{name}": "\u202e" + 900 * "w", f"bare-{name}": None}
    for sale_id, title in titles.items():
        sale = {"title": title, "markets": [f"titles-{name}"], **times}
        assert http.put(f"{service.url}/v1/sales/{sale_id}", json=sale).status_code == 201
    await_listed(service, f"titles-{name}")
    with visiting(browser, service.url, size) as visitor:
        visitor.open("/demo")
        page = visitor.page
        page.locator("select[name=market]").select_option(f"titles-{name}")
        bare = page.locator(f"[data-row='first'] [data-sale='bare-{name}'] .title")
        expect(bare).to_have_text(f"bare-{name}")
        long = page.locator(f"[data-row='first'] [data-sale='long-{name}']")
        expect(long.locator(".title")).to_have_text(900 * "w")
        assert long.locator(".text").evaluate("node => node.scrollWidth <= node.clientWidth")
        visitor.keep(f"demo-titles-{name}")
        long.locator(".title button").click()
        heading = page.get_by_role("dialog").get_by_role("heading").first
        assert heading.evaluate("node => node.scrollWidth <= node.clientWidth")
        undisturbed(visitor)
    for sale_id in titles:
        http.delete(f"{service.url}/v1/sales/{sale_id}")


def test_a_keyboard_is_enough(service: Service, browser: Browser) -> None:
    """Someone new, then a sale's window, closed by Escape: focus comes back to the sale."""
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo")
        page = visitor.page
        expect(page.locator("[data-row='first'] .card").first).to_be_visible()
        page.get_by_role("button", name="Someone new").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Nothing yet.")).to_be_visible()
        title = page.locator("[data-row='first'] .title button").first
        title.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.locator(".side .events li")).to_have_count(1)  # the page was made anew
        page.keyboard.press("Escape")

        expect(page.get_by_role("dialog")).not_to_be_visible()
        # The dialog's `close` event, which moves the focus, comes after it has gone.
        page.wait_for_function("document.activeElement.closest('[data-sale], h2') !== null")


def test_a_sale_that_is_deleted_leaves_its_customers_a_page(
    service: Service, browser: Browser
) -> None:
    now = datetime.now(UTC)
    gone = {"sale_id": "gone", "title": "Gone tomorrow", "markets": ["g"]}
    times = {"opens_at": (now - timedelta(hours=1)).isoformat()}
    put = http.put(f"{service.url}/v1/sales/gone", json={**gone, **times})
    assert put.status_code == 201, put.text
    await_listed(service, "g")
    with visiting(browser, service.url) as visitor:
        visitor.open("/demo")
        page = visitor.page
        page.locator("select[name=market]").select_option("g")
        page.locator("[data-row='first']").get_by_role("button", name="Gone tomorrow").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        http.delete(f"{service.url}/v1/sales/gone")
        page.locator("select[name=market]").select_option("fr")
        expect(page.locator("[data-row='first'] .card").nth(3)).to_be_visible()
