"""The report of a run: pictures from plain data, and the page that holds them."""
