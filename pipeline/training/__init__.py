"""Training, distillation, pruning and quantization-aware training. May import quantize, network, tasks and below."""
