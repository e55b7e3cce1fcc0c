"""Stages run when they must: workspace, fingerprints, runner. May import recipes and below; no stage, no emulator."""
