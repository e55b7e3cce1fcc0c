"""C: calls, functions, files."""
