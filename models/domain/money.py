"""Currencies of a catalogue, and a warning about several of them.

Amounts are compared as they are, so a catalogue has to have one currency, see
`models.dataset.rates`.
"""

from collections import Counter
from collections.abc import Iterable

from models.domain.sale import Sale


def currencies(sales: Iterable[Sale]) -> dict[str, int]:
    """Count the sales with an amount by currency, the most frequent first.

    Args:
        sales: Any sales; those without a currency are not counted.
    """
    counted = Counter(
        sale.currency.upper()
        for sale in sales
        if sale.currency is not None and (sale.price, sale.margin) != (None, None)
    )
    return dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))


def mixture(sales: Iterable[Sale]) -> str | None:
    """Describe a catalogue of several currencies, None where there is no more than one.

    Args:
        sales: The sales of the catalogue.

    Returns:
        A sentence that names the currencies with their sales.
    """
    counted = currencies(sales)
    if len(counted) <= 1:
        return None
    named = ", ".join(f"{currency} ({n:,} sales)" for currency, n in counted.items())
    return (
        f"amounts are in {len(counted)} currencies: {named}; nothing can be learned or judged from"
        " a mixture: add a table `rates` for all but one of them, or leave their amounts out"
    )
