"""HTML page of a report: renders blocks to one file without external resources."""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from training.report.block import Block, Heading, Table

_BACKTICKS: Final = re.compile("`([^`]+)`")


def page(title: str, blocks: Sequence[Block]) -> str:
    """Render a report: no script, no link, every text escaped, pictures and plots inside.

    A table of contents stands before the first heading, if there are more than two.

    Args:
        title: Of the page.
        blocks: From top to bottom.

    Returns:
        The HTML document; the same for the same blocks.

    Raises:
        ValueError: If a table is ragged.
    """
    # matplotlib takes a second to import, which commands that draw nothing do not wait for.
    from training.report.plot import draw

    for block in blocks:
        if isinstance(block, Table) and any(len(row) != len(block.columns) for row in block.rows):
            msg = f"table {block.caption!r} has a row with other than {len(block.columns)} cells"
            raise ValueError(msg)
    environment = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,  # a name misspelt in the template is an error, not a blank
        trim_blocks=True,
    )
    environment.filters["coded"] = _coded
    return environment.get_template("page.html").render(
        title=title,
        blocks=[(type(block).__name__, block) for block in blocks],
        headings=[block for block in blocks if isinstance(block, Heading)],
        draw=draw,
        encode=b64encode,
    )


def _coded(text: str) -> Markup:
    """Return a text, escaped, with what stands in backticks as code."""
    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped
