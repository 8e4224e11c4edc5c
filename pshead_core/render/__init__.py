"""Renderers: one protocol, a slow reference, a fast CPU rasteriser, gsplat on CUDA."""
