"""Boards, cores and memories as data. Imports numpy, yaml and what lies below: files, resources, tools, errors."""
