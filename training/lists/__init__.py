"""Lists: the best sales of every known customer, and the customers of one sale, from files."""
