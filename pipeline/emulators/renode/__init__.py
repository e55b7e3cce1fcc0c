"""Renode: its launcher, its pinned release, the files of `renode/`."""
