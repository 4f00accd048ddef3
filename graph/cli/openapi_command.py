"""`recordings openapi`: print the description of the v2 paths."""

import json

import click


@click.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document of the v2 paths."""
    from adapters.rest_v2.openapi.openapi_document import openapi as document
    from graph.app import VERSION

    click.echo(json.dumps(document(VERSION), indent=2, ensure_ascii=False))
