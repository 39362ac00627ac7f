"""Both reports in a browser: they load nothing, complain of nothing, and say what was found."""

import html
import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter
from typer.testing import CliRunner

from models.pictures.scene_labeller import SceneLabeller
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.browser import Look, look
from training.__main__ import app

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Figure(BaseModel):
    value: float
    low: float
    high: float


Figures = dict[str, dict[str, dict[str, Figure]]]


def command(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def undisturbed(page: Path, folder: Path) -> Look:
    seen = look(page, folder)
    assert seen.console == []
    assert seen.requests == []
    return seen


def cells(dom: str) -> set[str]:
    """Texts of the table's cells, tags left out."""
    found = re.findall(r"<td>(.*?)</td>", dom, flags=re.DOTALL)
    texts = (html.unescape(re.sub(r"<[^>]+>", " ", cell)) for cell in found)
    return {" ".join(text.split()) for text in texts}


def test_the_browser_tells_of_requests_and_complaints(tmp_path: Path) -> None:
    """The fault: a page with a script and a picture from elsewhere."""
    page = tmp_path / "page.html"
    address = "http://127.0.0.1:9/picture.png"
    page.write_text(f'<img src="{address}"><script>console.error("oh")</script>')

    seen = look(page, tmp_path / "browser")

    assert address in seen.requests
    assert any("oh" in message for message in seen.console)


def test_the_evaluation_says_in_a_browser_what_its_json_says(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    page = tmp_path / "report.html"
    options = ("--bundle", bundle, "--data", data, "--cache", picture_cache, "--max-visits", 60)
    stdout = command("evaluate", *options, "--report", page, "--json")
    figures = TypeAdapter(Figures).validate_python(json.loads(stdout)["figures"])

    seen = undisturbed(page, tmp_path / "browser")

    shown = cells(seen.dom)
    found = {
        f"{one.value:.4g} [{one.low:.4g}, {one.high:.4g}]"
        for scorers in figures.values()
        for metrics in scorers.values()
        for name, one in metrics.items()
        if one.low < one.high  # no interval where all resamples agree
        # What is the same for every order is left out.
        and any(scorers[other].get(name) not in (None, one) for other in scorers)
    }
    assert len(found) > 50
    assert found - shown == set()
    assert {"popularity (popularity)", "visits only (collaborative)"} < shown
    assert {"pictures only (images)", "mix (meta)"} < shown
    examples = seen.dom.split("Example slates</h2>")[1].split("<h2")[0]
    assert examples.count('src="data:image/jpeg;base64,') >= 20
    assert "tenths of the predictions" in seen.dom.split("Calibration</h2>")[1]


def test_the_scenes_say_in_a_browser_what_the_bundle_holds(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    page = tmp_path / "scenes.html"
    options = ("--bundle", bundle, "--data", data, "--cache", picture_cache)
    command("scenes", "report", *options, "--out", page)

    seen = undisturbed(page, tmp_path / "browser")

    text = html.unescape(seen.dom)
    topics = Scorer.load(read_bundle(bundle)).topics
    labeller = SceneLabeller.open(bundle)
    assert set(topics.names) <= cells(seen.dom)
    assert str(labeller.description.validation) in text
    assert all(f">{label}</text>" in text for label in labeller.labels)
    assert seen.dom.count('src="data:image/jpeg;base64,') > topics.n_topics
