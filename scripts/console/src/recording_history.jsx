// What happened to a recording, and who listened.
import { useCallback, useState } from "preact/hooks";

import { duration, when } from "./format.js";
import { text, word } from "./texts.js";
import { Empty, Loaded } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const EVENTS = /* GraphQL */ `
  query Events($account: ID!, $id: ID!, $since: String) {
    recordingEvents(first: 100, accountId: $account, since: $since, filter: { recordingId: $id }) {
      nodes {
        id
        type
        time
        reason
      }
      pageInfo {
        hasNextPage
      }
    }
  }
`;
const AUDIT = /* GraphQL */ `
  query Audit($account: ID!, $id: ID!) {
    auditLog(first: 100, filter: { accountId: $account, objectId: $id }) {
      nodes {
        id
        at
        action
        outcome
        seconds
        ip
        way
        actor {
          kind
          id
          name
        }
      }
      pageInfo {
        hasNextPage
      }
    }
  }
`;

const POLL_MS = 2000;
const RECENT_MS = 30_000;

export function RecordingHistory({ recording }) {
  const { viewer, can } = useViewer();
  const key = { account: recording.accountId, id: recording.plainId };
  return (
    <div class="columns">
      <section class="card">
        <h2>{text("history.events")}</h2>
        <Events key={recording.revision} variables={{ ...key, since: recording.created }} />
      </section>
      <section class="card">
        <h2>{text("history.audit")}</h2>
        {can("ADMIN") && !viewer.ownerId ? (
          <Audit key={recording.revision} variables={key} />
        ) : (
          <p class="hint">{text("noScope", { scope: "ADMIN" })}</p>
        )}
      </section>
    </div>
  );
}

function Events({ variables }) {
  // With several servers, an event may appear some seconds after the change.
  const [opened] = useState(Date.now);
  const isRecent = useCallback(() => Date.now() - opened < RECENT_MS, [opened]);
  return (
    <Loaded query={useQuery(EVENTS, variables, { every: POLL_MS, while: isRecent })}>
      {({ recordingEvents: { nodes, pageInfo } }) => (
        <>
          {nodes.length === 0 && <Empty>{text("history.noEvents")}</Empty>}
          <ol class="history">
            {nodes.map(({ id, type, time, reason }) => (
              <li key={id}>
                <time>{when(time)}</time> {word("event", type)}
                {reason && ` · ${word("reason", reason)}`}
              </li>
            ))}
          </ol>
          {pageInfo.hasNextPage && <p class="hint">{text("history.more")}</p>}
        </>
      )}
    </Loaded>
  );
}

function Audit({ variables }) {
  return (
    <Loaded query={useQuery(AUDIT, variables)}>
      {({ auditLog: { nodes, pageInfo } }) => (
        <>
          {nodes.length === 0 && <Empty>{text("history.noAudit")}</Empty>}
          <ol class="history">
            {nodes.map(({ id, at, action, outcome, seconds, ip, way, actor }) => (
              <li key={id}>
                <time>{when(at)}</time> {word("audit", action)} · {actor.name ?? actor.id} ({word("actor", actor.kind)})
                {seconds > 0 && ` · ${duration(seconds * 1000)}`}
                {outcome !== "GRANTED" && ` · ${word("outcome", outcome)}`}
                <small> {[word("way", way), ip].filter(Boolean).join(", ")}</small>
              </li>
            ))}
          </ol>
          {pageInfo.hasNextPage && <p class="hint">{text("history.more")}</p>}
        </>
      )}
    </Loaded>
  );
}
