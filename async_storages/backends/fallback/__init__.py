"""Two storages as one, while files move from the old one to the new one."""
