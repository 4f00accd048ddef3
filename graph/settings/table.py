"""The table of all settings: name, type, default, description and allowed values.

The options of `recordings serve`, the environment variables, the checks and docs/settings.md are all made from it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from graph.execution.request_limits import Limits
from graph.settings.setting import Setting
from recordings.model.account import GRANTABLE

ANYBODY: Final = "anybody"
"""The value of `graphql_introspection` for which a client needs no scope."""
_LIMITS: Final = Limits()

SETTINGS: Final = (
    Setting("host", str, "127.0.0.1", "The address on which the server listens."),
    Setting("port", int, 8000, "The port on which the server listens.", maximum=65_535),
    Setting(
        "workers",
        int,
        1,
        "Number of processes that serve the port and share the data folder: at most one per core. Each has its own "
        "limits of calls, uploads, audio processes and cost.",
        maximum=256,
    ),
    Setting(
        "data",
        Path,
        Path("data"),
        "The data folder of this server: its key, its SQLite file, its spool and, by default, the audio. "
        "It must be on a local disk. Each server needs its own.",
    ),
    Setting(
        "mongodb",
        str,
        None,
        "Store metadata in this MongoDB instead of the SQLite file. It must be a replica set, also with one server, or "
        "a sharded cluster. The path of the URL is the database name; without it, the name is recordings.",
        schemes=("mongodb", "mongodb+srv"),
    ),
    Setting(
        "sqlite_cache_mb",
        int,
        32,
        "Memory for cached pages of the SQLite file, in MiB, in each process. Half of it is for writes. The system's "
        "own cache of the file is not part of it.",
        minimum=8,
        maximum=65_536,
    ),
    Setting("driver", str, "pymongo", "The MongoDB driver.", choices=("pymongo", "motor")),
    Setting(
        "media",
        str,
        None,
        "Store new audio at this fsspec URL, such as s3://bucket/folder, instead of in the data folder.",
    ),
    Setting(
        "media_options",
        Path,
        None,
        "A private JSON file with options for media stores (endpoints, credentials). Each key is the beginning of a "
        'URL; the longest match applies: `{"s3://audio/": {"endpoint_url": …, "key": …, "secret": …}}`. '
        "Deliveries use these options, too.",
    ),
    Setting(
        "allowed_hosts",
        tuple,
        ("*",),
        "The hosts to which recordings may be delivered and from which audio may be fetched over HTTP: names, "
        "`*.example.org` for a whole domain, addresses, or `*` for any host.",
    ),
    Setting(
        "private_hosts",
        tuple,
        (),
        "Allowed hosts that may have an address outside the public Internet: names, addresses, and networks such as "
        "10.1.0.0/16. Default: none.",
    ),
    Setting(
        "delivery_places",
        tuple,
        ("http", "https"),
        "The allowed beginnings of a recording's `url`: a scheme, or more of a URL, such as s3://drops/in/. "
        "For http, https, ftp, ftps and sftp (needs its extra), the allowed and private hosts apply. "
        "Buckets (s3, gs, az) are reached at the installation's own endpoint with its own credentials. "
        "For any other scheme, its fsspec package must be installed, and the host must be given here, "
        "as in smb://files.example.org/.",
    ),
    Setting(
        "public_url",
        str,
        None,
        "The base URL for clients, if it is not made of the host and the port. Signed media URLs begin with it. "
        "By default, they begin with the address to which the request was sent.",
        schemes=("http", "https"),
        base_url=True,
    ),
    Setting(
        "cors_origins",
        tuple,
        (),
        "The origins whose web pages may use /graphql, /media, /stats, /export and /events (CORS): `*` for all, or a "
        "list such as https://app.example.org, http://localhost:3000. Pages send their token in a header. Default: "
        "none. The v2 paths do not need it.",
    ),
    Setting(
        "peer_url",
        str,
        None,
        "The URL at which the other servers on the same MongoDB reach this server, such as http://10.0.0.5:8000. "
        "They use it to record calls whose audio this server receives. Without it, only this server can record "
        "these calls.",
        schemes=("http", "https"),
        base_url=True,
    ),
    Setting("media_url_ttl", int, 3_600, "Seconds until a signed media URL expires.", minimum=10, maximum=604_800),
    Setting(
        "media_presign",
        bool,
        default=False,
        description="Give clients URLs that the S3 store itself signs, so that audio does not pass through the "
        "service. Such a URL works until it expires, even if the recording is deleted, and the service cannot log who "
        "listens.",
    ),
    Setting("trash_days", int, 30, "Days during which a deleted recording can be restored.", minimum=0, maximum=3_650),
    Setting("max_body", int, 512, "Maximum size of a file that a switch uploads, in MiB.", maximum=65_536),
    Setting(
        "max_received_hours",
        int,
        24,
        "Maximum duration of a received or imported file, in hours. A longer file fails with the reason TOO_LONG.",
        maximum=240,
    ),
    Setting(
        "video",
        str,
        "drop",
        "What to do with a received file that has video: drop the video and keep the audio, or reject the file.",
        choices=("drop", "reject"),
    ),
    Setting(
        "audiosocket",
        str,
        None,
        "The address, as host:port, on which the server listens for calls by Asterisk's AudioSocket, which is TCP "
        "without encryption. Default: none.",
        is_address=True,
    ),
    Setting(
        "metrics",
        str,
        None,
        "The address, as host:port, on which the server answers GET /metrics for Prometheus, without authentication. "
        "Default: none.",
        is_address=True,
    ),
    Setting(
        "metrics_accounts",
        bool,
        default=False,
        description="Count the ended recordings of each account: one series an account.",
    ),
    Setting(
        "otel",
        str,
        None,
        "The URL of an OpenTelemetry collector that gets traces by OTLP over HTTP, such as http://127.0.0.1:4318. "
        "Needs the extra `otel`. Default: no traces.",
        schemes=("http", "https"),
        base_url=True,
    ),
    Setting(
        "switch",
        tuple,
        (),
        "A telephone switch to record on, as an esl:// URL (FreeSWITCH), ari:// URL (Asterisk) or ng:// URL "
        "(rtpengine) with a name and the accounts that it serves, such as "
        "ari://recorder:SECRET@10.0.0.8?name=pbx1&account=ID. May be given several times. "
        "docs/switches.md describes the URLs. Give all servers the same switches.",
        repeatable=True,
    ),
    Setting("max_streams", int, 250, "Maximum number of live calls that this server receives.", maximum=100_000),
    Setting("max_uploads", int, 100, "Maximum number of files that this server receives at once.", maximum=10_000),
    Setting(
        "account_share",
        int,
        80,
        "How many percent of the live calls, of the uploads and of the free disk one account can use. For calls and "
        "uploads, this also limits one client address. 100 gives one account everything.",
        maximum=100,
    ),
    Setting(
        "upload_min_speed",
        int,
        200,
        "Minimum speed of an upload, in bytes per second, as an average of 20 seconds. A slower upload gets 408. "
        "0 accepts any speed.",
        minimum=0,
        maximum=1_000_000_000,
    ),
    Setting(
        "audio_workers",
        int,
        2,
        "Number of long files of one account that are decoded at the same time. Two more processes are for short files "
        "and other accounts. Conversions for listeners have as many processes of their own.",
        maximum=256,
    ),
    Setting(
        "renditions_mb",
        int,
        1_024,
        "Maximum disk space, in MiB, for waveforms and for recordings converted to another format, also while they are "
        "made. A conversion that needs more is rejected. They are made on request and kept for at most one day.",
        minimum=16,
        maximum=1_048_576,
    ),
    Setting("console", bool, default=True, description="Serve the console for users at /console."),
    Setting("graphiql", bool, default=True, description="Serve the query editor GraphiQL at /graphql."),
    Setting("graphql_body", int, _LIMITS.body, "Maximum size of a GraphQL request's body, in bytes.", maximum=1 << 26),
    Setting(
        "graphql_batch",
        int,
        _LIMITS.batch,
        "Maximum number of operations in a batch (a JSON array of requests). 0 rejects batches.",
        minimum=0,
        maximum=100,
    ),
    Setting(
        "graphql_characters",
        int,
        _LIMITS.characters,
        "Maximum number of characters in a document.",
        maximum=10_000_000,
    ),
    Setting("graphql_tokens", int, _LIMITS.tokens, "Maximum number of tokens in a document.", maximum=1_000_000),
    Setting(
        "graphql_nesting",
        int,
        _LIMITS.nesting,
        "Maximum nesting depth of brackets of any kind in a document.",
        maximum=200,
    ),
    Setting("graphql_depth", int, _LIMITS.depth, "Maximum nesting depth of fields in a document.", maximum=100),
    Setting(
        "graphql_fields",
        int,
        _LIMITS.fields,
        "Maximum number of fields in a document. A fragment's fields count at every spread.",
        maximum=100_000,
    ),
    Setting("graphql_aliases", int, _LIMITS.aliases, "Maximum number of fields with an alias.", maximum=100_000),
    Setting(
        "graphql_directives", int, _LIMITS.directives, "Maximum number of directives in a document.", maximum=100_000
    ),
    Setting(
        "graphql_repeats",
        int,
        _LIMITS.repeats,
        "Maximum number of pairs of fields with the same name at the same position.",
        maximum=1_000_000,
    ),
    Setting(
        "graphql_cost",
        int,
        _LIMITS.cost,
        "Maximum cost of an operation in the worst case. The unit is one returned field.",
        maximum=1_000_000_000,
    ),
    Setting("graphql_ids", int, _LIMITS.ids, "Maximum number of values in an `ids` argument.", maximum=100_000),
    Setting(
        "graphql_page",
        int,
        _LIMITS.page,
        "Maximum number of recordings on a page, and of ids that `nodes` accepts.",
        maximum=100,
    ),
    Setting(
        "graphql_seconds", int, int(_LIMITS.seconds), "Maximum duration of an operation, in seconds.", maximum=3_600
    ),
    Setting(
        "graphql_burst",
        int,
        1_000_000,
        "Maximum cost that the tokens of one principal can use at once. Each process counts separately.",
        maximum=1_000_000_000,
    ),
    Setting(
        "graphql_per_second",
        int,
        50_000,
        "Cost that a principal regains each second, up to the burst.",
        maximum=1_000_000_000,
    ),
    Setting(
        "graphql_trusted",
        Path,
        None,
        "Trusted documents, which clients can name by id (persisted documents): a JSON file from Relay's compiler, "
        "graphql-codegen or Apollo's manifest generator, or a folder of such files and *.graphql files.",
    ),
    Setting(
        "graphql_only_trusted", bool, default=False, description="Execute only trusted documents; reject all others."
    ),
    Setting(
        "graphql_register",
        bool,
        default=True,
        description="Let clients register documents and name them by hash (automatic persisted queries).",
    ),
    Setting(
        "graphql_suggestions",
        bool,
        default=False,
        description="Let error messages suggest names from the schema. This reveals the schema to all clients. "
        "The demo turns it on by default.",
    ),
    Setting(
        "graphql_partial_status",
        bool,
        default=True,
        description="Answer 294 instead of 200 if some data is missing. This applies only to clients that accept "
        "application/graphql-response+json.",
    ),
    Setting(
        "graphql_compress",
        bool,
        default=True,
        description="Compress responses if the client accepts gzip or zstd.",
    ),
    Setting(
        "graphql_introspection",
        str,
        "read",
        "The scope that a client needs to read the schema by introspection; `anybody` for no scope.",
        choices=(*(scope.value for scope in GRANTABLE), ANYBODY),
    ),
    Setting(
        "audit",
        str,
        "lenient",
        "What happens while the audit trail cannot be written: `strict` refuses plays and changes with 503; `lenient` "
        "allows them, and writes the entries later.",
        choices=("strict", "lenient"),
    ),
    Setting(
        "audit_days",
        int,
        400,
        "Days for which entries of the audit trail are kept.",
        maximum=36_500,
    ),
    Setting(
        "v2_owner_sees_account",
        bool,
        default=False,
        description="Let a token with an owner read all recordings of its account through the v2 paths, as Kazoo does.",
    ),
    Setting(
        "v2_max_rows",
        int,
        250_000,
        "Maximum number of recordings in a v2 listing without paging.",
        maximum=100_000_000,
    ),
    Setting(
        "key_file",
        Path,
        None,
        "The installation's secret key. The file is created if it does not exist. Default: `secret.key` "
        "in the data folder. Servers that share a MongoDB need the same key.",
    ),
    Setting(
        "jwks_url",
        str,
        None,
        "Also accept tokens from the issuer that publishes its keys at this URL. http:// works only on this machine.",
        schemes=("https", "http"),
    ),
    Setting("jwks_issuer", str, None, "The `iss` of that issuer's tokens. Required with a JWKS URL."),
    Setting("jwks_audience", str, None, "The `aud` of that issuer's tokens. Required with a JWKS URL."),
    Setting(
        "shutdown_timeout",
        int,
        10,
        "Seconds that requests have to finish when the server stops. After that, open takes have the same time again.",
        maximum=600,
    ),
    Setting(
        "drain_seconds",
        int,
        0,
        "Seconds after SIGTERM during which /readyz fails and new streams are refused, but all requests are still "
        "served. Give a balancer enough time to notice.",
        minimum=0,
        maximum=3_600,
    ),
    Setting(
        "drain_call_seconds",
        int,
        0,
        "Seconds after SIGTERM during which live calls may go on. Takes that are open after that are ended and kept.",
        minimum=0,
        maximum=86_400,
    ),
    Setting(
        "log_format",
        str,
        "auto",
        "The format of log lines; auto means console on a terminal, and json otherwise.",
        choices=("auto", "console", "json"),
    ),
    Setting(
        "log_level", str, "info", "The lowest level that is logged.", choices=("debug", "info", "warning", "error")
    ),
    Setting(
        "demo",
        bool,
        default=False,
        description="Make a demo account with playable recordings, and print how to try it.",
    ),
)

BY_NAME: Final[Mapping[str, Setting]] = {setting.name: setting for setting in SETTINGS}
