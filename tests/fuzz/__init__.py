"""A campaign against whatever reads a file or a text: `python -m tests.fuzz`, or `nox -s fuzz`; docs/reliability.md."""
