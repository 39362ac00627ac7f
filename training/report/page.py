"""HTML page of a report: renders blocks to one file without external resources."""

from base64 import b64encode
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from training.report.block import Block, Heading, Table


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
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "draw": draw,
        "kind": _kind,
        "base64": _base64,
        "breakable": _breakable,
    }
    headings = [block for block in blocks if isinstance(block, Heading)]
    template = environment.get_template("page.html")
    return template.render(title=title, blocks=blocks, headings=headings)


def _kind(block: Block) -> str:
    return type(block).__name__


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def _breakable(name: str) -> Markup:
    """Let a long name of a column break where it is joined."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))
