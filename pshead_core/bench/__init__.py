"""Benchmarks: many heads, several schedules or systems, and what can be said about their differences."""
