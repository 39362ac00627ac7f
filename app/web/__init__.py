"""Web pages: API pages, the shop window and insight, all from this origin."""
