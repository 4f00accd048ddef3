// One recording: its audio, its data, the actions on it, and its history.
import { RecordingActions } from "./recording_actions.jsx";
import { RecordingEdit } from "./recording_edit.jsx";
import { RecordingFacts } from "./recording_facts.jsx";
import { RecordingHistory } from "./recording_history.jsx";
import { Player } from "./player.jsx";
import { duration, party, when } from "./format.js";
import { GROUPS } from "./list_query.js";
import { text } from "./texts.js";
import { Empty, Loaded, Title } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const RECORDING = /* GraphQL */ `
  query Recording($id: ID!) {
    recording(id: $id) {
      plainId
      accountId
      state
      reason
      reasonDetail
      endCause
      start
      created
      ended
      durationMs
      callId
      interactionId
      cdrId
      ownerId
      endpointId
      from
      to
      direction
      callerIdName
      callerIdNumber
      calleeIdName
      calleeIdNumber
      label
      name
      format
      recorder
      node
      origin
      userMetadata
      deleteAt
      trashedAt
      trashedBy
      trashedReason
      purgeAt
      revision
      options {
        url
      }
      spans {
        kind
        atMs
        durationMs
      }
      media {
        contentType
        length
        durationMs
        sampleRate
        channels
        damaged
        damage
        expectedMs
        place
        sha256
      }
      delivery {
        state
        attempts
        lastError
        dueAt
        deliveredAt
      }
      hold {
        by
        at
        reason
      }
      policy {
        source
        documentId
        cell
        decision
        reasons
        locked
      }
      consent {
        need
        state
        at
        by
      }
    }
  }
`;
const POLL_MS = 2000;

export function Recording({ route }) {
  const { can } = useViewer();
  const query = useQuery(RECORDING, { id: route.id }, { every: POLL_MS, while: isMoving });
  return (
    <Loaded query={query}>
      {({ recording }) => (recording ? <Shown recording={recording} onChange={query.reload} can={can} /> : <Unknown />)}
    </Loaded>
  );
}

/** Return true while the server changes the recording by itself. */
const isMoving = (data) =>
  GROUPS.progress.includes(data?.recording?.state) || data?.recording?.delivery?.state === "PENDING";

function Unknown() {
  return (
    <>
      <Title>{text("recording.unknown")}</Title>
      <Empty>{text("error.NOT_FOUND")}</Empty>
    </>
  );
}

function Shown({ recording, onChange, can }) {
  const isTrashed = recording.state === "TRASHED";
  return (
    <>
      <Title>
        {text("recording.title", {
          caller: party(recording.callerIdName, recording.callerIdNumber, recording.from),
          callee: party(recording.calleeIdName, recording.calleeIdNumber, recording.to),
        })}
      </Title>
      <p>
        {when(recording.start)} · {duration(recording.durationMs)}
      </p>
      <RecordingActions recording={recording} onChange={onChange} />
      {recording.media &&
        !isTrashed &&
        (can("LISTEN") ? <Player recording={recording} /> : <Empty>{text("noScope", { scope: "LISTEN" })}</Empty>)}
      {recording.media && isTrashed && <Empty>{text("recording.trashed")}</Empty>}
      <div class="columns">
        <RecordingFacts recording={recording} />
        {can("CONTROL") && !isTrashed && <RecordingEdit recording={recording} onChange={onChange} />}
      </div>
      <RecordingHistory recording={recording} />
    </>
  );
}
