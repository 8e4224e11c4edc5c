"""The report of an evaluation: a page that needs no network, a table for the terminal, and `metrics.json`."""
