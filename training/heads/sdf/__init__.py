"""Heads without foreign assets: signed distances, marching cubes, painted regions."""
from training.heads.head import Head
def make_sdf_head(seed: int) -> Head:
    raise NotImplementedError
