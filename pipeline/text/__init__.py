"""Python twins of the device's text path. May import numerics' neighbours only: numpy, tokenizers, errors."""
