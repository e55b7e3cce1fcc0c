"""What `nox -s docs` adds to the pages of docs: reference pages made from the code, and links that hold in both places.

`hooks` is MkDocs' way in and alone needs it; the rest needs the core of `thimble-mcu`, so tests run without MkDocs.
"""
