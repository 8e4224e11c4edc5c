"""Cameras, the view sets named by azimuth, and the sampler of the views of a step."""
