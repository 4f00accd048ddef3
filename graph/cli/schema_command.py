"""`recordings schema`: print the GraphQL schema."""

import click


@click.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    # A late import: it takes longer than the rest of the command line.
    from graph.schema.build import sdl

    click.echo(sdl(), nl=False)
