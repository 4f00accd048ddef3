// The form of one policy.
import { useLayoutEffect, useState } from "preact/hooks";

import { mutate } from "./api.js";
import { PolicyCells, PolicyLocks } from "./policy_parts.jsx";
import { text } from "./texts.js";
import { Choice, Empty, Failure, Tick } from "./ui.jsx";
import { useViewer } from "./viewer.js";

const SET = /* GraphQL */ `
  mutation SetPolicy($input: SetRecordingPolicyInput!) {
    setRecordingPolicy(input: $input) {
      policy {
        revision
      }
      warnings
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const FILLS = ["INHERIT", "COMPATIBLE"];
const CONSENTS = ["NOT_NEEDED", "NOTICE", "ALL_PARTIES"];
const DUPLICATES = ["ONE", "SEPARATE"];

export function PolicyForm({ scope, id, policy, onSaved }) {
  const { account, can } = useViewer();
  const [draft, setDraft] = useState(policy);
  const [applyNow, setApplyNow] = useState(false);
  const [result, setResult] = useState({});
  // At once: an effect after the first click would undo its change.
  useLayoutEffect(() => setDraft(policy), [policy]);
  const isAccount = scope === "ACCOUNT";
  const change = (changes) => setDraft({ ...draft, ...changes });
  const save = async (event) => {
    event.preventDefault();
    const { cells, fill, locks, consent, duplicates } = draft;
    const ofAccount = isAccount ? { locks, consent, duplicates } : {};
    const input = {
      scope,
      id,
      accountId: account.plainId,
      revision: policy.revision,
      cells,
      fill: fill ?? "INHERIT",
      applyNow,
      ...ofAccount,
    };
    try {
      const { warnings } = await mutate(SET, input);
      setResult({ warnings });
      onSaved();
    } catch (error) {
      setResult({ error });
    }
  };
  return (
    <form class="card stack" onSubmit={save} aria-label={text(`policy.scope.${scope}`)}>
      <h2>{text(`policy.scope.${scope}`)}</h2>
      <p class="hint">{text(`policy.scopeHint.${scope}`)}</p>
      <fieldset disabled={!can("ADMIN")} class="stack">
        <PolicyCells cells={draft.cells} onChange={(cells) => change({ cells })} />
        <Choice
          label={text("policy.fill")}
          value={draft.fill ?? "INHERIT"}
          onChange={(event) => change({ fill: event.target.value })}
          options={FILLS.map((each) => [each, text(`policy.fill.${each}`)])}
        />
        {isAccount && (
          <>
            <PolicyLocks locks={draft.locks} onChange={(locks) => change({ locks })} />
            <Choice
              label={text("policy.consent")}
              value={draft.consent}
              onChange={(event) => change({ consent: event.target.value })}
              options={CONSENTS.map((each) => [each, text(`policy.consent.${each}`)])}
            />
            <Choice
              label={text("policy.duplicates")}
              value={draft.duplicates}
              onChange={(event) => change({ duplicates: event.target.value })}
              options={DUPLICATES.map((each) => [each, text(`policy.duplicates.${each}`)])}
            />
          </>
        )}
        {can("ADMIN") && (
          <>
            <Tick
              label={text("policy.applyNow")}
              checked={applyNow}
              onChange={(event) => setApplyNow(event.target.checked)}
            />
            <button class="primary">{text("policy.save")}</button>
          </>
        )}
      </fieldset>
      {!can("ADMIN") && <Empty>{text("noScope", { scope: "ADMIN" })}</Empty>}
      <Failure error={result.error} />
      <div role="status">
        {result.warnings && <p>{text("policy.saved")}</p>}
        {result.warnings?.map((warning) => (
          <p key={warning} class="notice">
            {warning}
          </p>
        ))}
      </div>
    </form>
  );
}
