"""A catalogue of several currencies is described."""

import pytest

from models.domain.money import currencies, mixture
from models.domain.sale import Sale


def sales(*amounts: tuple[str | None, float | None]) -> list[Sale]:
    return [
        Sale.model_validate(
            {"sale_id": f"s{n}", "opens_at": "2025-01-01T00:00:00Z", "currency": c, "price": price}
        )
        for n, (c, price) in enumerate(amounts)
    ]


def test_sales_with_an_amount_are_counted_by_currency() -> None:
    counted = currencies(sales(("EUR", 1), ("JPY", 1), ("JPY", 2), ("GBP", None), (None, 3)))

    assert counted == {"JPY": 2, "EUR": 1}


@pytest.mark.parametrize("one", [[], [("EUR", 1), ("eur", 2)], [("EUR", 1), (None, 2)]])
def test_one_currency_is_no_mixture(one: list[tuple[str | None, float | None]]) -> None:
    assert mixture(sales(*one)) is None


def test_a_mixture_names_currencies_and_sales() -> None:
    mixed = mixture(sales(("EUR", 1), ("EUR", 2), ("JPY", 300)))

    assert mixed is not None
    assert "EUR (2 sales), JPY (1 sales)" in mixed
    assert "add a table `rates`" in mixed
