"""Weights on disk: where a checkpoint's components lie, and whether they are what was published."""
