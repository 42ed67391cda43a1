"""FastDFS: packets, pooled connections, client, storage."""
