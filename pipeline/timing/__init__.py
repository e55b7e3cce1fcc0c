"""Cycles from traces of an emulated run. May import emulators, device and below; not verification."""
