"""Who is asking: the installation's key, tokens of ours and of an issuer, API keys and ingest addresses.

The issuer has to be imported by its module, `adapters.identity.jwks_issuer`: few installations have one.
"""

from adapters.identity.authenticate import Identity, token_in
from adapters.identity.hashed_credentials import Credentials
from adapters.identity.installation_key import InstallationKey, SecretFileError, made_once
from adapters.identity.revoked_tokens import Revocations
from adapters.identity.tokens import Tokens

__all__ = [
    "Credentials",
    "Identity",
    "InstallationKey",
    "Revocations",
    "SecretFileError",
    "Tokens",
    "made_once",
    "token_in",
]
