"""The operator's read-only commands: what was read once is a snapshot, and pure functions of it say what stands where and why."""
