// The retention rules of an account.
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
  const remove = ({ label }) =>
    can("DELETE") && (
      <Sure
        label={text("retention.remove")}
        question={text("retention.sure")}
        onSure={() => run(CLEAR, { label: label ?? undefined })}
      />
    );
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
              [text("admin.actions"), remove],
            ]}
          />
        )}
      </Loaded>
      {can("DELETE") ? (
        <Form
          title={text("retention.set")}
          hint={text("retention.hint")}
          error={error}
          submit={text("retention.set")}
          onSubmit={({ label, days }) => run(SET, { label, days: Number(days) })}
        >
          <Line label={text("list.column.label")} hint={text("retention.labelHint")} name="label" maxLength="128" />
          <Line label={text("retention.days")} name="days" type="number" min="1" max="36500" required />
        </Form>
      ) : (
        <Empty>{text("noScope", { scope: "DELETE" })}</Empty>
      )}
    </>
  );
}
