"""The values of all settings, checked."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from adapters.recorders.switch_url import SwitchUrl
from graph.execution.request_limits import Limits
from graph.settings.table import ANYBODY
from graph.settings.worker import Worker, worker_folder
from recordings.model.account import Scope

_LOOPBACK_OF_ALL_ADDRESSES: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a key, not an address to bind


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of an installation. `graph.settings.load` makes it; `graph.settings.table` describes each field."""

    host: str
    port: int
    workers: int
    data: Path
    mongodb: str | None
    sqlite_cache_mb: int
    driver: str
    media: str | None
    media_options: Path | None
    allowed_hosts: tuple[str, ...]
    private_hosts: tuple[str, ...]
    delivery_places: tuple[str, ...]
    public_url: str | None
    cors_origins: tuple[str, ...]
    peer_url: str | None
    media_url_ttl: int
    media_presign: bool
    trash_days: int
    max_body: int
    max_received_hours: int
    video: str
    audiosocket: str | None
    metrics: str | None
    metrics_accounts: bool
    otel: str | None
    switch: tuple[SwitchUrl, ...]
    max_streams: int
    max_uploads: int
    account_share: int
    upload_min_speed: int
    audio_workers: int
    renditions_mb: int
    console: bool
    graphiql: bool
    graphql_body: int
    graphql_batch: int
    graphql_characters: int
    graphql_tokens: int
    graphql_nesting: int
    graphql_depth: int
    graphql_fields: int
    graphql_aliases: int
    graphql_directives: int
    graphql_repeats: int
    graphql_cost: int
    graphql_ids: int
    graphql_page: int
    graphql_seconds: int
    graphql_burst: int
    graphql_per_second: int
    graphql_trusted: Path | None
    graphql_only_trusted: bool
    graphql_register: bool
    graphql_suggestions: bool
    graphql_partial_status: bool
    graphql_compress: bool
    graphql_introspection: str
    audit: str
    audit_days: int
    v2_owner_sees_account: bool
    v2_max_rows: int
    key_file: Path | None
    jwks_url: str | None
    jwks_issuer: str | None
    jwks_audience: str | None
    shutdown_timeout: int
    drain_seconds: int
    drain_call_seconds: int
    log_format: str
    log_level: str
    demo: bool
    worker: Worker | None = None
    """Which of the workers this process is; `None` if it is the only one. This is not a setting."""

    @property
    def own_data(self) -> Path:
        """The folder with what belongs to this process: its id, its spool and its work files."""
        return self.data if self.worker is None else worker_folder(self.data, self.worker.number)

    @property
    def address(self) -> str:
        """The base URL for clients, without a slash at its end: the public URL, or else host and port."""
        host = _LOOPBACK_OF_ALL_ADDRESSES.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def graphql_limits(self) -> Limits:
        """The limits of a GraphQL request."""
        return Limits(**{item.name: getattr(self, f"graphql_{item.name}") for item in fields(Limits)})

    @property
    def introspection_scope(self) -> Scope | None:
        """The scope that a client needs to read the schema by introspection; `None` if it needs none."""
        return None if self.graphql_introspection == ANYBODY else Scope(self.graphql_introspection)
