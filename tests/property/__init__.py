"""Random programs against the server and against a plain Python model of it."""
