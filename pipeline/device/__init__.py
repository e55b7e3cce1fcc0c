"""Talking to a board: links, the serial protocol, chat.

May import `pipeline.errors`, `pipeline.version`, pyserial and Python's own library: with these it is the distribution
`thimble-client` (folder `client`), where this package is called `thimble_client.device`. So its imports are relative.
"""
