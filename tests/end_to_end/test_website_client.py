"""`vitrine.js` on a website in a browser: impressions, clicks, and that no event is lost."""

import json
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser, Page, expect

from models.domain.event import EventType
from tests.end_to_end.service import START_TIMEOUT_S, Service, http, run, serving_shop
from tests.end_to_end.website import CLIENT, Fault, Website
from tests.proofs import Proof
from tests.visitor import visiting

pytestmark = [pytest.mark.browser, pytest.mark.slow]

N_EVENTS = 10_000
EACH_PAGE = 50
VISIT = {"customer_id": "c-web", "session_id": "v-1", "market": "fr", "device": "desktop"}
N_WAITING = "Object.keys(localStorage).length"
FAULTS: tuple[Fault, ...] = ("lost", "unheard", "refused", None)
SHARES = (0.15, 0.2, 0.15, 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("website")


@pytest.fixture(scope="module")
def service(folder: Path, tiny_bundle: tuple[Path, Path]) -> Generator[Service]:
    with serving_shop(folder, tiny_bundle) as service:
        yield service


def known(
    service: Service, customer: str
) -> tuple[list[tuple[str, int]], list[tuple[str, str | None]]]:
    """Sales that a customer was shown, with positions; types and sales of their events."""
    answer = http.get(f"{service.url}/v1/customers/{customer}").json()
    return (
        sorted((one["sale_id"], one["position"]) for one in answer["shown"]),
        [(one["type"], one["sale_id"]) for one in answer["events"]],
    )


def await_nothing_waits(page: Page) -> None:
    page.wait_for_function(f"{N_WAITING} === 0", timeout=START_TIMEOUT_S * 1000)


def test_what_was_on_the_screen_is_an_impression_and_a_link_a_click(
    service: Service, browser: Browser
) -> None:
    visit = VISIT | {"customer_id": "c-sees"}
    website = Website(service.url, visit=json.dumps(visit))
    with website.running(), visiting(browser, website.url) as visitor:
        visitor.open("/")
        page = visitor.page
        items = page.evaluate(
            """async () => {
              const slate = await vitrine.recommend({ limit: 6, fields: ["title"] });
              for (const item of slate.items) {
                const card = document.createElement("article");
                card.innerHTML = "<button>Like</button><a href='/sale'></a>";
                card.querySelector("a").textContent = item.sale.title;
                document.body.append(card);
                vitrine.watch(card, item, slate);
              }
              return slate.items;
            }"""
        )
        sales = [one["sale_id"] for one in items]
        # Cards begin every 500 pixels: of 900 they take 0–300 and 500–800.
        page.wait_for_function(f"{N_WAITING} >= 2")
        await_nothing_waits(page)
        seen = sorted([(sales[0], 1), (sales[1], 2)])
        assert known(service, "c-sees") == (seen, [])

        page.get_by_role("button", name="Like").first.click()
        page.get_by_role("link").nth(1).click()
        expect(page).to_have_url(f"{website.url}/sale")
        await_nothing_waits(page)

        assert known(service, "c-sees") == (seen, [("click", sales[1])])
        assert (visitor.complaints, visitor.foreign) == ([], [])


def test_a_page_without_the_service_goes_on(service: Service, browser: Browser) -> None:
    website = Website(service.url, visit=json.dumps(VISIT))
    website.fault = lambda: "refused"
    with website.running(), visiting(browser, website.url) as visitor:
        visitor.open("/")

        assert visitor.page.evaluate("vitrine.recommend({ limit: 3 })") is None
        website.fault = lambda: "lost"
        assert visitor.page.evaluate("vitrine.page({ rows: [{ name: 'first' }] })") is None


def test_without_storage_events_wait_in_the_page(service: Service, browser: Browser) -> None:
    website = Website(service.url, visit=json.dumps(VISIT | {"customer_id": "c-private"}))
    with website.running(), visiting(browser, website.url) as visitor:
        visitor.page.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException(); } })"
        )
        visitor.open("/")
        with visitor.page.expect_response(lambda answer: answer.url.endswith("/v1/events")):
            visitor.page.evaluate("vitrine.record('view', 's-1')")

        # The sale is unknown to the catalogue.
        assert known(service, "c-private") == ([], [("view", None)])


def test_the_oldest_of_too_many_is_dropped_and_said(service: Service, browser: Browser) -> None:
    website = Website(service.url, visit=json.dumps(VISIT))
    website.fault = lambda: "lost"
    with website.running(), visiting(browser, website.url) as visitor:
        visitor.open("/")
        ids = visitor.page.evaluate(
            "Array.from({ length: 2001 }, () => vitrine.record('view', 's-1'))"
        )

        assert visitor.page.evaluate(N_WAITING) == 2000
        assert any("1 events dropped" in one for one in visitor.complaints)
        assert len(ids) == 2001


def test_the_types_name_every_type_of_event() -> None:
    declared = CLIENT.with_suffix(".d.ts").read_text(encoding="utf-8")

    union = declared.split("export type EventType =")[1].split(";")[0]
    assert {one.strip(' \n"') for one in union.split("|")} - {""} == set(EventType)


@pytest.mark.prove
def test_no_event_is_lost_or_counted_twice(
    service: Service, browser: Browser, proof: Proof, rng: np.random.Generator, folder: Path
) -> None:
    """Under requests and answers that are cut, refusals, reloads, and a network that goes away."""
    n_events = proof.scale(N_EVENTS)
    drawn: Counter[Fault] = Counter()
    recorded: list[str] = []

    def fault() -> Fault:
        one = FAULTS[rng.choice(len(FAULTS), p=SHARES)]
        drawn[one] += 1
        return one

    website = Website(service.url, visit=json.dumps(VISIT | {"customer_id": "c-cut"}))
    website.fault = fault
    started = time.monotonic()
    with website.running(), visiting(browser, website.url) as visitor:
        page = visitor.page
        visitor.open("/")
        for turn in range(n_pages := -(-n_events // EACH_PAGE)):
            n = min(EACH_PAGE, n_events - len(recorded))
            page.context.set_offline(turn % 4 == 1)
            recorded += page.evaluate(
                f"Array.from({{ length: {n} }}, (_, at) => vitrine.record('view', `s-${{at}}`))"
            )
            page.wait_for_timeout(float(rng.choice([0, 5, 50, 200])))
            page.context.set_offline(False)
            page.reload()
        await_nothing_waits(page)

    out = folder / "exported"
    exported = run(
        "app", "export-events", "--out", str(out), VITRINE_STATE_DIR=str(folder / "state")
    )
    assert exported.returncode == 0, exported.stderr
    found = pl.read_parquet(out / "events.parquet")
    times = Counter(found.filter(customer_id="c-cut")["event_id"].to_list())
    assert times == Counter(recorded)
    assert len(times) == n_events
    metrics = http.get(f"{service.url}/metrics").text
    repeated = next(
        float(line.split()[-1])
        for line in metrics.splitlines()
        if line.startswith('vitrine_events_total{reason="",status="duplicate"}')
    )
    assert repeated > 0
    proof.record(
        "website_events",
        {
            "events": n_events,
            "pages": n_pages,
            "requests": dict(
                zip(
                    ("lost", "unheard", "refused", "answered"),
                    map(drawn.__getitem__, FAULTS),
                    strict=True,
                )
            ),
            "repeated_events": repeated,
            "lost": len(set(recorded) - times.keys()),
            "double": sum(n - 1 for n in times.values()),
            "seconds": round(time.monotonic() - started, 1),
        },
    )
