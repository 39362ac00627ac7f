"""What is made of sales is made once, until there are others."""

from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.catalogue.event_counts import SaleCounts
from tests.builders import catalogue, sale


class Counting:
    """Counts the sales of a catalogue, and how often it was asked to."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, of: Catalogue) -> int:
        """Return the number of sales."""
        self.asked += 1
        return len(of)


def test_the_same_sales_with_other_counts_share_what_was_made() -> None:
    counting, shop = Counting(), catalogue(sale("a"), sale("b"))
    kept = CatalogueCache(counting)

    made = [kept.of(shop), kept.of(shop.with_counts(SaleCounts.none(2)))]

    assert made == [2, 2]
    assert counting.asked == 1


def test_other_sales_are_seen_and_the_last_two_catalogues_remembered() -> None:
    shops = [catalogue(*(sale(f"s{place}") for place in range(size))) for size in (1, 2, 3)]
    counting = Counting()
    kept = CatalogueCache(counting)

    made = [kept.of(shops[place]) for place in (0, 1, 0, 1, 2, 1, 0)]

    assert made == [1, 2, 1, 2, 3, 2, 1]
    assert counting.asked == 4  # the first one is made again, after two others
