"""What priors are: the protocols they follow and the contributions they return. Weight-free maths only."""
