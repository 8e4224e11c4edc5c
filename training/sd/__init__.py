"""The text-to-image prior: a UNet of the layout of Stable Diffusion, a small CLIP text encoder and its tokenizer."""
