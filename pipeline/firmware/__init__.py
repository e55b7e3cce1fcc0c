"""The firmware project: sources, tables, build, image. May import targets, text, numerics; not device."""
