"""A small face restorer in CodeFormer's place: a regression network for crops of 128-px renders."""
