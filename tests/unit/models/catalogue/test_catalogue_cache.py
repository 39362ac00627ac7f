"""Values derived from a catalogue are computed once, and again for other sales."""

from dataclasses import dataclass

from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache, cached
from models.catalogue.event_counts import SaleCounts
from tests.builders import catalogue, sale


@dataclass(frozen=True)
class Counter:
    step: int

    @cached
    def counted(self, shop: Catalogue) -> list[int]:
        return [len(shop) * self.step]


def test_a_value_is_made_once_for_each_key() -> None:
    cache, made = CatalogueCache(), iter(range(9))

    assert [cache.get_or_make("a", lambda: next(made)) for _ in range(3)] == [0, 0, 0]
    assert cache.get_or_make("b", lambda: next(made)) == 1


def test_the_same_sales_with_other_counts_share_what_was_derived() -> None:
    shop = catalogue(sale("a"), sale("b"))

    assert shop.with_counts(SaleCounts.none(2)).cache is shop.cache


def test_other_sales_share_nothing() -> None:
    assert catalogue(sale("a")).cache is not catalogue(sale("a")).cache


def test_a_cached_method_computes_once_for_a_catalogue_and_equal_owners() -> None:
    shop = catalogue(sale("a"), sale("b"))
    found = Counter(1).counted(shop)

    assert found == [2]
    assert Counter(1).counted(shop) is found
    assert Counter(2).counted(shop) == [4]
    assert Counter(1).counted(catalogue(sale("a"))) == [1]
