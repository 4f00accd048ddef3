"""`recordings stats`: the progress of the figures that are counted in advance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from graph.cli.shared_options import STORAGE, print_json, setting_options, with_services

if TYPE_CHECKING:
    from graph.services import Services


@click.command()
@click.option("--rebuild", is_flag=True, help="Let the servers count all figures again.")
@setting_options(STORAGE)
def stats(rebuild: bool, options: Mapping[str, str | None]) -> None:
    """Show how many quarter-hours have figures that are not counted yet.

    The servers count them in the background. Until then, questions about them read their recordings, so the results
    are the same, but take longer. A few are always open, because calls in progress change them.
    """
    _stats(options, rebuild=rebuild)


@with_services
async def _stats(services: "Services", *, rebuild: bool) -> None:
    marked = await (services.store.mark_all() if rebuild else services.store.marked_count())
    print_json({"quarter_hours_to_count": marked})
