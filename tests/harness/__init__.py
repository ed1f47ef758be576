"""Starts and stops servers for the Python tests, the crash checker, the benches and the example."""
