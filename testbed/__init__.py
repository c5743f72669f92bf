"""What tests and bench share: a real API server, players over a connection, a wire in memory, virtual time, whole worlds."""
