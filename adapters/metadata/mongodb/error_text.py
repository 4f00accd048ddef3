"""The texts of errors of MongoDB for operators."""

import re
from typing import Final

from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError, ServerSelectionTimeoutError

_LOGIN_FAILED: Final = 18
_NOT_PERMITTED: Final = 13
_ATLAS: Final = 8_000
_NO_PRIMARY: Final = 'match selector "Primary()"'
_COMMAND: Final = re.compile(r"not authorized on (\S+) to execute command \{ (\w+)")
_DRIVER_DETAILS: Final = re.compile(r", (?:full error|Topology Description): .*", re.DOTALL)


def error_text(error: PyMongoError) -> str:
    """Return the reason of an error and, for a login, a missing right or a missing primary, what to do.

    The text of the driver goes on with the whole reply of the server, or with the state of all servers. That of a bulk
    write has its reasons only there.
    """
    text = _DRIVER_DETAILS.sub("", str(error))
    if isinstance(error, BulkWriteError):
        failed = (*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ()))
        text = "; ".join([text, *(str(each.get("errmsg", "")) for each in failed[:1])])
    code = error.code if isinstance(error, OperationFailure) else None
    if code == _LOGIN_FAILED or (code == _ATLAS and "auth" in text):
        return "MongoDB rejects the login: check the user, the password and authSource in the URL of --mongodb"
    if code == _NOT_PERMITTED and (found := _COMMAND.search(text)):
        database, command = found.groups()
        return (
            f"MongoDB does not permit its user the command {command!r} on the database {database!r}: the user in the "
            "URL of --mongodb needs the role readWrite on this database"
        )
    if code == _NOT_PERMITTED:
        # MongoDB says this to a client without a login.
        return f"MongoDB requires a login: give a user and a password in the URL of --mongodb ({text})"
    if isinstance(error, ServerSelectionTimeoutError) and _NO_PRIMARY in text:
        return (
            f"MongoDB has no primary: rs.status() in mongosh shows why; a new replica set needs rs.initiate() ({text})"
        )
    return text
