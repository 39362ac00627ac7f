"""From a customer's request to a slate, behind ports that know no store."""
