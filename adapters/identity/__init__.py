"""Authentication: the installation's key, tokens of this service and of an external issuer, API keys, ingest addresses.

Import the issuer from its module, `adapters.identity.jwks_issuer`: few installations have one.
"""

from adapters.identity.audit_signer import AuditSigner
from adapters.identity.authenticate import Identity, token_in
from adapters.identity.hashed_credentials import Credentials
from adapters.identity.installation_key import InstallationKey, SecretFileError
from adapters.identity.private_file import read_or_create
from adapters.identity.revoked_tokens import Revocations
from adapters.identity.sealed_secrets import SealedSecrets
from adapters.identity.tokens import Tokens

__all__ = [
    "AuditSigner",
    "Credentials",
    "Identity",
    "InstallationKey",
    "Revocations",
    "SealedSecrets",
    "SecretFileError",
    "Tokens",
    "read_or_create",
    "token_in",
]
