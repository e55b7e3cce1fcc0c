"""Programs that run a board's image. May import device, targets; no compiler, no TensorFlow."""
