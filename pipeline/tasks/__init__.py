"""What a model learns: tasks, their data, and how answers count. May import recipes, text and below."""
