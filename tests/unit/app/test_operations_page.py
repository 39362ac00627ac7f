"""The page of operations has every value of `degraded` and of health; links lead somewhere."""

import re

from app.health.readiness import Part
from app.recommend import degradation_level
from app.recommend.degradation_level import CAUSES, Cause, DegradationLevel
from tests.proofs import ROOT

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Text below a heading, up to the next one."""
    return re.split(r"\n##+ ", PAGE.split(f"# {heading}\n")[1])[0]


def rows(heading: str) -> set[str]:
    """First cells, where they are code, of the tables below a heading."""
    return set(re.findall(r"^\| `(\w+)` \|", section(heading), flags=re.MULTILINE))


def test_every_value_of_degraded_has_its_row() -> None:
    assert rows("What `degraded` says") == {level.value for level in DegradationLevel}


def test_every_cause_has_its_row_with_its_level() -> None:
    others = [one for one in vars(degradation_level).values() if isinstance(one, Cause)]
    causes = [*CAUSES.values(), *others]

    text = section("Why was this answer degraded?")
    found = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text, flags=re.MULTILINE)
    assert sorted(found) == sorted((one.name, one.level.value) for one in causes)
    # `list` takes the place of `popularity` of a customer with a list.
    levels = {level.value for level in DegradationLevel if level is not DegradationLevel.LIST}
    assert {level for _, level in found} == levels


def test_every_part_that_health_can_miss_has_its_row() -> None:
    assert rows("Probes: which is which") == {part.value for part in Part}


def test_links_of_the_documentation_lead_to_headings_and_files() -> None:
    dead: list[str] = []
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = target.partition("#")
            path = page.parent / name if name else page
            if "://" in target:
                continue
            if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
                dead.append(f"{page.name}: {target}")

    assert dead == []


def anchors(text: str) -> set[str]:
    """Names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
