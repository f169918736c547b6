"""Real servers for the tests, on free ports of 127.0.0.1, their data in temporary directories."""
