"""Pictures, the page and the summary of a run. May import verification, timing and below."""
