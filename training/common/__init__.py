"""What all trainings share: shards of rendered heads, batches, the resumable loop, figures and contact sheets."""
