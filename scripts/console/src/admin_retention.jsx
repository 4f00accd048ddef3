// The retention rules of an account.
import { useState } from "preact/hooks";

import { Form, Items, Sure, useChanges } from "./admin_parts.jsx";
import { text } from "./texts.js";
import { Empty, Line, Loaded } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const RULES = /* GraphQL */ `
  query Rules($account: ID!) {
    retentionRules(accountId: $account) {
      label
      days
    }
  }
`;
const SET = /* GraphQL */ `
  mutation SetRule($input: SetRetentionRuleInput!) {
    setRetentionRule(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const CLEAR = /* GraphQL */ `
  mutation ClearRule($input: ClearRetentionRuleInput!) {
    clearRetentionRule(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;

export function Retention() {
  const { account, can } = useViewer();
  const query = useQuery(RULES, { account: account.plainId });
  const { run, error } = useChanges(query.reload);
  const [edited, setEdited] = useState({});
  const actions = (rule) =>
    can("DELETE") && (
      <div class="row tight">
        <button type="button" onClick={() => setEdited(rule)}>
          {text("retention.change")}
        </button>
        <Sure
          label={text("retention.remove")}
          question={text("retention.sure")}
          onSure={() => run(CLEAR, { label: rule.label ?? undefined })}
        />
      </div>
    );
  const save = async ({ label, days }) => {
    const payload = await run(SET, { label, days: Number(days) });
    if (payload) setEdited({});
    return payload;
  };
  return (
    <>
      <Loaded query={query}>
        {({ retentionRules }) => (
          <Items
            label={text("admin.retention")}
            items={retentionRules}
            empty={text("retention.empty")}
            columns={[
              [text("list.column.label"), ({ label }) => label ?? text("retention.others")],
              [text("retention.days"), ({ days }) => days],
              [text("admin.actions"), actions],
            ]}
          />
        )}
      </Loaded>
      {can("DELETE") ? (
        <Form
          key={JSON.stringify(edited)}
          title={text("retention.set")}
          hint={text("retention.hint")}
          error={error}
          submit={text("retention.set")}
          onSubmit={save}
        >
          <Line
            label={text("list.column.label")}
            hint={text("retention.labelHint")}
            name="label"
            maxLength="128"
            defaultValue={edited.label ?? ""}
          />
          <Line
            label={text("retention.days")}
            name="days"
            type="number"
            min="1"
            max="36500"
            defaultValue={edited.days ?? ""}
            required
          />
        </Form>
      ) : (
        <Empty>{text("noScope", { scope: "DELETE" })}</Empty>
      )}
    </>
  );
}
