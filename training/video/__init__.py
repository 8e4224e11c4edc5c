"""The miniature text-to-video prior: a UNet3DConditionModel over 25-view orbits, with the empty prompt."""
