"""Code that all HTTP interfaces share.

`accept`, `byte_ranges`, `conditional_requests`, `download_name` and `token_bucket` are pure. `audio_response`,
`compression`, `error_body` and `streaming_response` make Starlette responses. `cross_origin` is ASGI middleware.
"""
