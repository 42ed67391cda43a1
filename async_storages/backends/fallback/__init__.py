"""Two storages that work as one while files move from the old one to the new one."""
