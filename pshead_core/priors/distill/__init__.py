"""Score distillation as plain torch maths: no network, no weights, no diffusion library.

A guidance brings a `LatentCodec` around its autoencoder and a function that predicts; `gradient.distill` does the rest.
`settings` alone imports no torch, so that a plugin's configuration can hold it.
"""
