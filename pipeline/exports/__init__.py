"""Models as libraries for the build systems that people have. May import `verification` and what is below."""
