"""How the miniature checkpoints are made: synthetic heads, their renderer, and the trainings. Not installed."""
