"""The things of a shop: events, sales, customers, and their units."""
