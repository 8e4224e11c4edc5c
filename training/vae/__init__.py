"""The autoencoder that all miniature checkpoints share: an AutoencoderKL of the published layout, f = 8."""
