"""Sphinx: the manual, built from the pages of this folder by `make manual`."""

project = "Vitrine"
extensions = ["myst_parser"]
exclude_patterns: list[str] = []
html_theme = "furo"
html_title = "Vitrine"
html_copy_source = False
html_show_copyright = False
# Links to headings are those of GitHub, on which the pages are read as well.
myst_heading_anchors = 6
# Nothing is fetched from another site by a reader's browser.
html_theme_options: dict[str, object] = {"footer_icons": []}
nitpicky = True
# Decision records are listed by their README, and would fill the navigation of every page.
suppress_warnings = ["toc.not_included"]
