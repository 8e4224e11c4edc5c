"""Gaussian model, how it starts, how its density is controlled, and how it is exported."""
