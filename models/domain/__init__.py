"""Domain objects: events, sales, windows, profiles, and units."""
