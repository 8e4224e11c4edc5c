"""What the diffusion priors share: latents on disk, the network's size, the objective, sampling, figures."""
