"""Fallback: answers that the client makes itself while the service has none."""

import json
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from .answers import NO_ANSWER, Head, Item, Page, Slate

MAX_REMEMBERED: Final = 64  # questions; chosen: markets times places of a website

# Neither the visitor nor their progress: an order of another visitor is better than an empty page.
_OF_ONE_VISIT: Final = frozenset(
    {"customer_id", "session_id", "device_id", "device", "variant", "exclude", "cursor", "explain"}
)


class Fallback:
    """The newest answer to each question, for a while, without what it says of its visitor.

    Args:
        remember_s: Seconds for which an answer is used.
    """

    def __init__(self, remember_s: float) -> None:
        self._remember_s = remember_s
        self._answers: OrderedDict[str, tuple[float, dict[str, list[Item]]]] = OrderedDict()

    def remember(self, asked: Mapping[str, Any], rows: Mapping[str, list[Item]]) -> None:
        """Keep the sales of an answer, by row."""
        question = _question(asked)
        self._answers[question] = (time.monotonic(), dict(rows))
        self._answers.move_to_end(question)
        if len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)

    def slate(self, asked: Mapping[str, Any]) -> Slate:
        """Return the remembered sales that are still open and not excluded, or none."""
        return {**_head(), "items": self._open(asked).get("", [])}

    def page(self, asked: Mapping[str, Any]) -> Page:
        """Return the rows that were asked for, with remembered sales that are still open."""
        rows = self._open(asked)
        return {
            **_head(),
            "rows": [
                {
                    "name": str(row["name"]),
                    "kind": str(row.get("kind", "for_you")),
                    "because_of": None,
                    "items": rows.get(str(row["name"]), []),
                }
                for row in asked["rows"]
            ],
        }

    def _open(self, asked: Mapping[str, Any]) -> dict[str, list[Item]]:
        then, rows = self._answers.get(_question(asked), (0.0, {}))
        if time.monotonic() - then > self._remember_s:
            return {}
        now, excluded = datetime.now(UTC), set(asked.get("exclude", ()))
        ranks = count(1)
        return {
            name: [
                _impersonal(one, next(ranks))
                for one in items
                if _closes(one) > now and one["sale_id"] not in excluded
            ]
            for name, items in rows.items()
        }


def with_closing(fields: Iterable[str]) -> list[str]:
    """Return the fields to ask for: a remembered sale must say when it closes."""
    return sorted({*fields, "closes_at"})


def _question(asked: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in asked.items() if name not in _OF_ONE_VISIT}
    return json.dumps(kept, sort_keys=True, default=list)


def _closes(item: Item) -> datetime:
    return datetime.fromisoformat(item["sale"]["closes_at"])


def _impersonal(item: Item, rank: int) -> Item:
    return {
        "sale_id": item["sale_id"],
        "rank": rank,
        "purchase_probability": None,
        "rules": [],
        "cover": None,
        "explanation": None,
        "sale": item["sale"],
    }


def _head() -> Head:
    return {
        "recommendation_id": None,
        "bundle": None,
        "assignments": [],
        "degraded": NO_ANSWER,
        "probability_of": None,
        "unmet_rules": [],
    }
