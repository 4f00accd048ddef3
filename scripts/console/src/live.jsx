// The calls in progress and their recordings.
import { useEffect, useState } from "preact/hooks";

import { mutate } from "./api.js";
import { party, when } from "./format.js";
import { LIVE_ACTIONS, liveActionsOf } from "./live_actions.js";
import { policyText } from "./recording_facts.jsx";
import { href } from "./route.js";
import { useChangesOf } from "./subscribe.js";
import { text, word } from "./texts.js";
import { Empty, Failure, Loaded, Title } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const LIVE = /* GraphQL */ `
  query Live($account: ID!) {
    account(id: $account) {
      calls(first: 100) {
        nodes {
          id
          callId
          started
          from
          to
          direction
          ownerId
          recorder
          capabilities
          callerIdName
          callerIdNumber
          calleeIdName
          calleeIdNumber
        }
        totalCount
      }
      recordings(first: 100, filter: { state: { in: [REQUESTED, ARMED, RECORDING, PAUSED, MASKED] } }) {
        nodes {
          plainId
          callId
          state
          start
          from
          to
          direction
          ownerId
          callerIdName
          callerIdNumber
          calleeIdName
          calleeIdNumber
          policy {
            source
            documentId
            cell
            decision
            reasons
            locked
          }
          consent {
            state
          }
        }
      }
    }
  }
`;
const START = /* GraphQL */ `
  mutation Start($input: StartRecordingInput!) {
    startRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const CHANGES = [
  /* GraphQL */ `
    subscription CallChanges($account: ID!) {
      callsChanged(accountId: $account) {
        kind
      }
    }
  `,
  /* GraphQL */ `
    subscription RecordingChanges($account: ID!) {
      recordingChanged(accountId: $account) {
        cursor
      }
    }
  `,
];
const COLUMNS = ["started", "caller", "callee", "direction", "user", "state", "policy", "actions"];
/** A button becomes the one that undoes its action, so that it keeps the focus. */
const KEPT = { resume: "pause", unmask: "mask" };
const POLL_MS = 2000;
const REFRESH_MS = 30_000;

/** Return the calls with their recordings, and the recordings whose call has ended. */
export function withRecordings(calls, recordings) {
  const byCall = new Map(recordings.map((each) => [each.callId, each]));
  const live = calls.map((call) => ({ call, recording: byCall.get(call.callId) }));
  const known = new Set(calls.map((call) => call.callId));
  return [...live, ...recordings.filter((each) => !known.has(each.callId)).map((recording) => ({ recording }))];
}

export function Live() {
  const { account } = useViewer();
  const [every, setEvery] = useState(POLL_MS);
  const query = useQuery(LIVE, { account: account.plainId }, { every });
  const isFollowing = useChangesOf(CHANGES, { account: account.plainId }, query.reload);
  useEffect(() => setEvery(isFollowing ? REFRESH_MS : POLL_MS), [isFollowing]);
  return (
    <>
      <Title>{text("live.title")}</Title>
      <Loaded query={query}>{(data) => <Calls account={data.account} onChange={query.reload} />}</Loaded>
    </>
  );
}

function Calls({ account, onChange }) {
  const [error, setError] = useState();
  const run = async (mutation, input) => {
    try {
      await mutate(mutation, input);
      setError(undefined);
    } catch (caught) {
      setError(caught);
    }
    onChange();
  };
  const rows = withRecordings(account.calls.nodes, account.recordings.nodes);
  return (
    <>
      <Failure error={error} />
      <p role="status">{text("live.count", { count: account.calls.totalCount })}</p>
      {rows.length === 0 ? (
        <Empty>{text("live.empty")}</Empty>
      ) : (
        <table class="cards" role="table">
          <thead role="rowgroup">
            <tr role="row">
              {COLUMNS.map((name) => (
                <th key={name} role="columnheader" scope="col">
                  {text(`live.column.${name}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {rows.map((row) => (
              <Row key={row.call?.id ?? row.recording.plainId} {...row} onRun={run} />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function Row({ call, recording, onRun }) {
  const { can } = useViewer();
  const known = call ?? recording;
  const state = recording && (
    <a class={`state ${recording.state.toLowerCase()}`} href={href(`recording/${recording.plainId}`)}>
      {word("state", recording.state)}
    </a>
  );
  const cells = {
    started: when(call?.started ?? recording.start),
    caller: party(known.callerIdName, known.callerIdNumber, known.from),
    callee: party(known.calleeIdName, known.calleeIdNumber, known.to),
    direction: word("direction", known.direction),
    user: known.ownerId,
    state: state ?? text("live.notRecorded"),
    policy: recording?.policy && policyText(recording.policy),
    actions: can("CONTROL") && (
      <div class="row tight">
        {call && !recording && (
          <button type="button" onClick={() => onRun(START, { callId: call.id })}>
            {text("live.record")}
          </button>
        )}
        {recording &&
          liveActionsOf(recording.state, call?.capabilities).map((name) => (
            <button key={KEPT[name] ?? name} type="button" onClick={() => onRun(LIVE_ACTIONS[name], { id: recording.plainId })}>
              {text(`action.${name}`)}
            </button>
          ))}
      </div>
    ),
  };
  return (
    <tr role="row">
      {COLUMNS.map((name) => (
        <td
          key={name}
          role="cell"
          data-label={text(`live.column.${name}`)}
          class={cells[name] ? undefined : "no-value"}
        >
          {cells[name]}
        </td>
      ))}
    </tr>
  );
}
