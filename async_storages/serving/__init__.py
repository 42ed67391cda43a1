"""HTTP responses with stored files, for all frameworks. These modules import no framework.

`stored_file` makes the response, by the rules in `ranges`, `conditional_requests` and `stored_headers`. `streaming`
sends its bytes, and `front_server` lets nginx or Apache send them. `signed_files` serves the presigned URLs of a
folder. `problems` converts errors to responses. The classes for each framework are in `integrations`.
"""
