"""`/docs` in a browser: a person finds a route, reads of it, and calls it."""

from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.service import Service, serving
from tests.visitor import DESKTOP, PHONE, visiting

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Swagger UI's own: headings that begin at h3, buttons in buttons, a head outside of any landmark,
# a pale badge of the version, choices without a label, examples that no key scrolls.
THEIRS = {
    *("color-contrast", "heading-order", "nested-interactive", "region"),
    *("scrollable-region-focusable", "select-name"),
}


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]
) -> Generator[Service]:
    with serving(tmp_path_factory.mktemp("docs"), "--bundle", str(tiny_bundle[0])) as service:
        service.wait_until("/health/ready", status=200)
        yield service


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_a_route_is_found_read_and_called(
    service: Service, browser: Browser, name: str, size: tuple[int, int]
) -> None:
    with visiting(browser, service.url, size) as visitor:
        visitor.open("/docs")
        page = visitor.page
        page.get_by_role("button", name="GET /v1/recommendations Recommend").click()
        expect(
            page.get_by_text("Return the sales that the customer is most likely")
        ).to_be_visible()
        page.get_by_placeholder("customer_id").fill("c1")
        page.get_by_role("button", name="Execute").click()
        answer = page.locator(".live-responses-table .response .microlight").first
        expect(answer).to_contain_text('"recommendation_id"')
        visitor.keep(f"docs-{name}")

        assert visitor.fits()
        assert {one.partition(":")[0] for one in visitor.violations()} <= THEIRS
        assert (visitor.complaints, visitor.foreign) == ([], [])
