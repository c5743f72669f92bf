"""`aioctl demo`: a fleet migrated on the embedded cluster, in processes of its own, and how far it has come."""
