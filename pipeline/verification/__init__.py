"""Whether a board computes what the .tflite says: oracle, host engine, checks.

May import emulators, compiler and below.
"""
