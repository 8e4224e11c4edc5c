"""The ground-truth set: held-out heads seen by the ring, committed as lossless pictures."""

from training.ground_truth.load import DATA, TruthHead, load_ground_truth

__all__ = ["DATA", "TruthHead", "load_ground_truth"]
