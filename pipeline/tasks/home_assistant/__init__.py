"""Home Assistant's sentences as a task."""
