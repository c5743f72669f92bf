"""`aioctl check`: pure checks over a survey of the cluster, a group a module, and those of files."""
