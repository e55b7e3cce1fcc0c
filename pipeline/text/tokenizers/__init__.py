"""Tokenizers, one file a form."""
