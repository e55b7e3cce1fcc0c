"""The page that runs the device's own C: WebAssembly, and one HTML file around it."""
