"""What all HTML pages share: colours, type and components. Imports nothing of this package."""
