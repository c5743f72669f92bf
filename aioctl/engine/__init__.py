"""Everything that waits and knows nothing of Kubernetes: queue, workers, limiters, store, turnstile, services, clock."""
