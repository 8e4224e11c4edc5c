"""A small recogniser of faces in the manner of ArcFace (arXiv 1801.07698), in the layout of arcface_torch."""
