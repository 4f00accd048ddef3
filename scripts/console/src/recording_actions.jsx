// The actions on a recording that its state and the scopes of the credentials allow.
import { useState } from "preact/hooks";

import { mutate } from "./api.js";
import { LIVE_ACTIONS, liveActionsOf } from "./live_actions.js";
import { GROUPS } from "./list_query.js";
import { text } from "./texts.js";
import { Failure, Line } from "./ui.jsx";
import { useViewer } from "./viewer.js";

const DELETE = /* GraphQL */ `
  mutation Delete($input: DeleteRecordingInput!) {
    deleteRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const RESTORE = /* GraphQL */ `
  mutation Restore($input: RestoreRecordingInput!) {
    restoreRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const HOLD = /* GraphQL */ `
  mutation Hold($input: HoldRecordingInput!) {
    holdRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const RELEASE = /* GraphQL */ `
  mutation Release($input: ReleaseRecordingInput!) {
    releaseRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const REDELIVER = /* GraphQL */ `
  mutation Redeliver($input: RedeliverRecordingInput!) {
    redeliverRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const MUTATIONS = {
  delete: DELETE,
  restore: RESTORE,
  hold: HOLD,
  release: RELEASE,
  redeliver: REDELIVER,
  ...LIVE_ACTIONS,
};
const WITH_REASON = ["delete", "hold"];

/** Return the names of the actions that are possible now. */
function actionsOf(recording, can) {
  const isTrashed = recording.state === "TRASHED";
  const isOver = !GROUPS.progress.includes(recording.state);
  return [
    ...(can("CONTROL") ? liveActionsOf(recording.state) : []),
    can("DELETE") && isOver && !isTrashed && !recording.hold && "delete",
    can("DELETE") && isTrashed && "restore",
    can("ADMIN") && !recording.hold && "hold",
    can("ADMIN") && recording.hold && "release",
    can("CONTROL") && recording.options.url && recording.media && !isTrashed && "redeliver",
  ].filter(Boolean);
}

export function RecordingActions({ recording, onChange }) {
  const { can } = useViewer();
  const [asked, setAsked] = useState();
  const [error, setError] = useState();
  const [done, setDone] = useState();
  const run = async (name, input = {}) => {
    try {
      await mutate(MUTATIONS[name], { id: recording.plainId, ...input });
      setError(undefined);
      setDone(name);
    } catch (caught) {
      setError(caught);
      setDone(undefined);
    }
    setAsked(undefined);
    onChange();
  };
  const submit = (event) => {
    event.preventDefault();
    const reason = new FormData(event.target).get("reason") || undefined;
    run(asked, { reason });
  };
  return (
    <>
      <div class="row">
        {actionsOf(recording, can).map((name) => (
          <button
            key={name}
            type="button"
            aria-expanded={WITH_REASON.includes(name) ? asked === name : undefined}
            onClick={() => (WITH_REASON.includes(name) ? setAsked(asked === name ? undefined : name) : run(name))}
          >
            {text(`action.${name}`)}
          </button>
        ))}
      </div>
      {asked && (
        <form key={asked} class="card stack" onSubmit={submit}>
          <Line
            label={text("action.reason")}
            hint={text(`action.${asked}.hint`)}
            name="reason"
            required={asked === "hold"}
            maxLength="256"
          />
          <button class="primary">{text(`action.${asked}.submit`)}</button>
        </form>
      )}
      <Failure error={error} />
      <p role="status">{done && text(`action.${done}.done`)}</p>
    </>
  );
}
