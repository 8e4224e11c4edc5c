"""How good a head is: what is shown to the metrics, and what they say."""
