"""Benches: whole lifecycles through the real product, the limit of the parts, and the naive topology."""
