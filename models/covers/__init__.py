"""Covers: which of its pictures stands for a sale, chosen per customer."""
