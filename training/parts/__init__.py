"""Parts of the customers of a dataset, and workers that compute them."""
