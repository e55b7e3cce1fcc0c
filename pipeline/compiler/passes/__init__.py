"""From graph to graph, from graph to program, and from program to program."""
