"""Talking to a board: links, the serial protocol, chat.

May import targets, text, numerics; no compiler, no TensorFlow.
"""
