"""Thimble: a language model in a microcontroller, from Keras to verified tokens on an emulated board."""
