"""Covers: fits which pictures are clicked, and by whom, from impressions and clicks."""
