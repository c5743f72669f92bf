"""The loops beside the reconcile: webhook certificates and their rotation, and the storage migration."""
