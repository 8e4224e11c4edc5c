"""The optimisation loop, its losses, and the run folder."""
