"""Home Assistant's `custom_sentences` files as a task: read by hassil itself, sentences drawn one at a time."""
