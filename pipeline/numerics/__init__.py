"""Python twins of the device's arithmetic. Imports numpy alone."""
