// The explanation why a call is or is not recorded.
import { useState } from "preact/hooks";

import { request } from "./api.js";
import { text, word } from "./texts.js";
import { Choice, Failure, Line } from "./ui.jsx";
import { useViewer } from "./viewer.js";

const EXPLAIN = /* GraphQL */ `
  query Explain($call: PolicyCallInput!) {
    explainRecordingPolicy(call: $call) {
      decision
      source
      because
      refused
      consent
      warnings
      recordings {
        source
        documentId
        cell
        reasons
        options {
          format
          timeLimit
          url
        }
      }
      levels {
        scope
        documentId
        cell
        decision
      }
    }
  }
`;
const DIRECTIONS = ["INBOUND", "OUTBOUND"];
const NETWORKS = ["", "ONNET", "OFFNET"];
const NAMES = ["from", "to", "ownerId", "endpointId", "callId"];

export function Explain() {
  const { account } = useViewer();
  const [result, setResult] = useState({});
  const submit = async (event) => {
    event.preventDefault();
    const given = [...new FormData(event.target)].filter(([, value]) => value !== "");
    try {
      const call = { accountId: account.plainId, ...Object.fromEntries(given) };
      setResult({ found: (await request(EXPLAIN, { call })).explainRecordingPolicy });
    } catch (error) {
      setResult({ error });
    }
  };
  return (
    <form class="card stack" onSubmit={submit} aria-label={text("explain.title")}>
      <h2>{text("explain.title")}</h2>
      <p class="hint">{text("explain.hint")}</p>
      <div class="filters">
        <Choice
          label={text("policy.cell.direction")}
          name="direction"
          options={DIRECTIONS.map((each) => [each, word("direction", each)])}
        />
        <Choice
          label={text("policy.cell.network")}
          name="network"
          options={NETWORKS.map((each) => [each, each ? word("network", each) : text("explain.unknown")])}
        />
        {NAMES.map((name) => (
          <Line key={name} label={text(`explain.${name}`)} name={name} />
        ))}
      </div>
      <button class="primary">{text("explain.submit")}</button>
      <Failure error={result.error} />
      <div role="status">{result.found && <Explanation found={result.found} />}</div>
    </form>
  );
}

function Explanation({ found }) {
  return (
    <>
      <p>
        <strong>{word("decision", found.decision)}</strong>: {found.because}
      </p>
      {found.refused && <p class="notice">{text("explain.refused")}</p>}
      {found.consent !== "NOT_NEEDED" && <p>{text(`policy.consent.${found.consent}`)}</p>}
      {found.warnings.map((warning) => (
        <p key={warning} class="notice">
          {warning}
        </p>
      ))}
      <ol>
        {found.levels.map((level) => (
          <li key={`${level.scope} ${level.documentId}`}>
            {text(`policy.scope.${level.scope}`)}:{" "}
            {level.decision ? word("decision", level.decision) : text("policy.inherit")}{" "}
            <small>{[level.cell, level.documentId].filter(Boolean).join(", ")}</small>
          </li>
        ))}
      </ol>
    </>
  );
}
