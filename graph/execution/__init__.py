"""How a GraphQL request becomes an answer, at the cost of plain JSON.

`documents` leads from a text or its hash to the parsed and validated document and its plans, `limits` refuses before
work is done, `plan` and `executor` complete pages of rows, `front` is the ASGI application in front of it all.
"""
