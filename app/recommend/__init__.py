"""A recommendation from request to answer; `pipeline` is where to start."""
