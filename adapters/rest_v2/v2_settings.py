"""The settings of the v2 API."""

from dataclasses import dataclass

from adapters.http.token_bucket import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class V2Settings:
    """The settings of the v2 API of one installation."""

    owner_sees_account: bool = False
    """Whether a token with an owner reads every recording of its account, as in Kazoo."""
    max_rows: int = 250_000
    """Maximum rows of an unpaged response. A longer response is 416."""
    max_bytes: int = 1 << 30
    """Maximum bytes of an unpaged response, estimated from its first rows."""
    token_seconds: int = 3_600
    """Lifetime of a token of `api_auth` or `user_auth`."""
    rate: Rate = Rate(capacity=100, per_second=10.0)  # noqa: RUF009 - it is immutable
    token_rate: Rate = Rate(capacity=5_000, per_second=500.0)  # noqa: RUF009 - it is immutable
    storage: str = "file:"
    """The URL of the installation's media store. Responses contain only its scheme."""
    language: str = "en-us"
    timezone: str = "UTC"
