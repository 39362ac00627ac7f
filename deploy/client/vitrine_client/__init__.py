"""Client of the recommendation service Vitrine: `Client`, and `AsyncClient` for asyncio."""

from .answers import Ask, Assignment, Event, Item, Page, PageAsk, Row, Slate, Visit
from .async_client import AsyncClient
from .client import Client

__all__ = [
    "Ask",
    "Assignment",
    "AsyncClient",
    "Client",
    "Event",
    "Item",
    "Page",
    "PageAsk",
    "Row",
    "Slate",
    "Visit",
]
