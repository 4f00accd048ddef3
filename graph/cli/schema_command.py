"""`recordings schema`: the GraphQL schema as text."""

import click


@click.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    # Loaded when asked for: it takes longer than all the rest of the command line.
    from graph.schema import sdl

    click.echo(sdl(), nl=False)
