"""Puts trained checkpoints into the distribution that ships them: checks, checksums, model cards."""
