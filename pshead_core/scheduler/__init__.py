"""The scheduler: which slots are due at a step, on which views, and the mix of their contributions."""
