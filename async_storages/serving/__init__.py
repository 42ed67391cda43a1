"""Answers that give stored files over HTTP, for any framework: none is imported here.

`stored_file` is the answer itself; `ranges`, `conditional_requests` and `stored_headers` are the rules that it keeps
to, `streaming` sends its bytes, `front_server` has nginx or Apache send them. `signed_files` serves the presigned URLs
of a folder, `problems` tells clients of errors. The frameworks' own classes are in `integrations`.
"""
