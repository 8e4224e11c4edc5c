"""pshead: one frontal photo of a face in, a 360° 3D Gaussian Splatting head out."""

__version__ = "0.1.0"
