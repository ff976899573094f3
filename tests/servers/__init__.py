"""Real servers for tests: private instances on loopback, in directories of their own, gone at the end."""
