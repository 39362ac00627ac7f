"""Posters for new films: a bundle with pictures beside one without, paired.

Question: are new films of MovieLens ranked better by a bundle that sees their posters?

Method: ``python -m benchmarks.quality.posters``. The set is imported by its mapping, its posters
are linked, and `cold-start` trains up to the split with pictures and without. At later visits it
ranks the films that were rated for the first time at most 30 days before. Photographs of scenes
label the posters. Differences are paired, with bootstrap intervals over customers.

Last numbers: see docs/evaluation.md.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from benchmarks.quality.real_sets import FOLDERS, SETS, SHARED, run
from benchmarks.results import write_result

# Two in five ratings are earlier, a fifth of the films later: after it few films are new.
UNTIL: Final = "2000-06-01"
NEW_HOURS: Final = 30 * 24


def compare(
    shared: Annotated[Path, typer.Option(help="Where the sets are.")] = SHARED,
    cache: Annotated[Path, typer.Option(help="Picture features and scores.")] = Path("var"),
) -> None:
    """Print the command's figures, and write results/benchmarks/posters.json."""
    source = shared / FOLDERS["movielens"]
    with TemporaryDirectory() as name:
        work = Path(name)
        data = work / "data"
        run("import", *SETS["movielens"].importing(source, work), "--out", data)
        (data / "images").symlink_to(source)
        pictures = ("--scenes", shared / "scenes", "--cache", cache, "--out", work / "bundles")
        judged = run(
            *("cold-start", "--data", data, "--until", UNTIL, "--hours", str(NEW_HOURS)), *pictures
        )
    costs = {"processor_s": judged.processor_s, "peak_mb": judged.peak_mb}
    write_result("posters", {"figures": judged.report, **costs})


if __name__ == "__main__":
    typer.run(compare)
