"""The enumerations of the audit trail, with a description of each value."""

from graph.schema.enums import describe
from recordings.model.audit_entry import ActorKind as AuditActorKind
from recordings.model.audit_entry import AuditAction, AuditOutcome
from recordings.model.audit_entry import Way as AuditWay

__all__ = ["AuditAction", "AuditActorKind", "AuditOutcome", "AuditWay"]

describe(
    AuditAction,
    "AuditAction",
    "The action.",
    {
        AuditAction.LIST: "Recordings were listed, searched or counted. `details` has the numbers of a second.",
        AuditAction.READ: "An object was read.",
        AuditAction.PLAY: "A recording was played. All requests of a player are one entry.",
        AuditAction.PLAY_ENDED: "The end of a play. Lists show it as a part of the play.",
        AuditAction.DOWNLOAD: "The audio of a recording was downloaded.",
        AuditAction.EXPORT: "Recordings were exported as a table.",
        AuditAction.EXPORT_ENDED: "The end of an export. Lists show it as a part of the export.",
        AuditAction.URL_GIVEN: "A URL of the media store was given. The service does not see who uses it.",
        AuditAction.START: "A recording was started.",
        AuditAction.STOP: "A recording was stopped.",
        AuditAction.PAUSE: "A recording was paused.",
        AuditAction.RESUME: "A paused recording was resumed.",
        AuditAction.MASK: "A recording was masked.",
        AuditAction.UNMASK: "A mask was ended.",
        AuditAction.CONSENT: "The answer of the parties was saved.",
        AuditAction.SUPERSEDE: "The recording of a server that is gone was given up for a new one of the same call.",
        AuditAction.RECEIVE: "Audio was received. `details` has the number of uploads of a second.",
        AuditAction.FORBID_CALL: "A lock forbade to record a call.",
        AuditAction.UPDATE: "The label, the name or the metadata of a recording was changed.",
        AuditAction.DELETE: "A recording was put into the trash.",
        AuditAction.RESTORE: "A recording was taken out of the trash.",
        AuditAction.EXPIRE: "A recording was put into the trash because its retention is over.",
        AuditAction.ERASE: "A recording was purged. `details` has the erased parts and their locations.",
        AuditAction.HOLD: "A legal hold was placed.",
        AuditAction.RELEASE: "A legal hold was lifted.",
        AuditAction.REDELIVER: "A new delivery was requested.",
        AuditAction.POLICY: "A recording policy was changed.",
        AuditAction.RETENTION: "Retention rules were changed.",
        AuditAction.ACCOUNT: "An account was created, changed, disabled, enabled or deleted.",
        AuditAction.USER: "A user was created, changed, disabled, enabled or deleted.",
        AuditAction.KEY: "An API key was created or revoked.",
        AuditAction.INGEST_ADDRESS: "An ingest address was created or revoked.",
        AuditAction.SECRET: "A secret of an account was set or removed.",
        AuditAction.WEBHOOK: "A webhook was created, changed, deleted, tested or replayed.",
        AuditAction.TOKEN: "A token was issued by a command, or all tokens were ended.",
        AuditAction.LOGIN: "A client signed in, or its credentials were refused.",
        AuditAction.LOGOUT: "A client ended its token.",
        AuditAction.READ_TRAIL: "The audit trail was read.",
        AuditAction.GAP: "For some time, the trail could not be written. `details` has the number of lost entries.",
    },
)
describe(
    AuditOutcome,
    "AuditOutcome",
    "Whether it was done.",
    {
        AuditOutcome.GRANTED: "The actor may do it. The entry was written before it was done.",
        AuditOutcome.DENIED: "The actor may not do it.",
        AuditOutcome.FAILED: "The actor may do it, but it was not possible. `details` has the reason.",
    },
)
describe(
    AuditWay,
    "AuditWay",
    "The way by which a request came.",
    {
        AuditWay.GRAPHQL: "GraphQL.",
        AuditWay.REST: "REST v2, /media, /export, /stats or /ingest.",
        AuditWay.SIGNED_URL: "A signed URL of /media. The actor is the caller who requested it.",
        AuditWay.CLI: "A command on the server's own machine.",
        AuditWay.SYSTEM: "The service itself.",
    },
)
describe(
    AuditActorKind,
    "AuditActorKind",
    "The kind of the credentials of an actor.",
    {
        AuditActorKind.USER: "A user who signed in.",
        AuditActorKind.OWNER: "Credentials that are limited to one owner.",
        AuditActorKind.KEY: "An API key, or a token made from it.",
        AuditActorKind.TOKEN: "A token without an owner.",
        AuditActorKind.INGEST_ADDRESS: "An ingest address.",
        AuditActorKind.OPERATOR: "The operator, by a command.",
        AuditActorKind.SYSTEM: "The service itself.",
        AuditActorKind.ANONYMOUS: "A client without valid credentials.",
    },
)
