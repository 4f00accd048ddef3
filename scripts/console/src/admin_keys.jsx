// The API keys of an account.
import { useState } from "preact/hooks";

import { Form, Items, Secret, Sure, useChanges } from "./admin_parts.jsx";
import { when } from "./format.js";
import { text } from "./texts.js";
import { Line, Loaded, Tick } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const KEYS = /* GraphQL */ `
  query Keys($account: ID!) {
    apiKeys(last: 100, accountId: $account) {
      nodes {
        id
        ownerId
        scopes
        created
        revokedAt
      }
      totalCount
    }
  }
`;
const CREATE = /* GraphQL */ `
  mutation CreateKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      secret
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const REVOKE = /* GraphQL */ `
  mutation RevokeKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;

export function Keys() {
  const { viewer, account } = useViewer();
  const query = useQuery(KEYS, { account: account.plainId });
  const [secret, setSecret] = useState();
  const creation = useChanges(query.reload);
  const change = useChanges(query.reload);
  const offered = viewer.scopes.filter((scope) => scope !== "INGEST");
  const create = async ({ ownerId, ...ticked }) => {
    const payload = await creation.run(CREATE, { ownerId, scopes: Object.keys(ticked) });
    setSecret(payload?.secret);
    return payload;
  };
  return (
    <>
      <Loaded query={query}>
        {({ apiKeys }) => (
          <Items
            label={text("admin.keys")}
            items={apiKeys.nodes}
            empty={text("keys.empty")}
            columns={[
              [text("fact.id"), (key) => key.id],
              [text("keys.scopes"), (key) => key.scopes.join(", ")],
              [text("list.column.user"), (key) => key.ownerId ?? text("keys.all")],
              [text("admin.created"), (key) => when(key.created)],
              [
                text("admin.status"),
                (key) =>
                  key.revokedAt ? (
                    text("admin.revoked", { at: when(key.revokedAt) })
                  ) : (
                    <Sure
                      label={text("admin.revoke")}
                      question={text("keys.sure")}
                      onSure={() => change.run(REVOKE, { id: key.id })}
                    />
                  ),
              ],
            ]}
          />
        )}
      </Loaded>
      <Secret label={text("keys.new")} value={secret} />
      <Form
        title={text("keys.create")}
        hint={text("keys.hint")}
        error={creation.error ?? change.error}
        submit={text("keys.create")}
        onSubmit={create}
      >
        {offered.map((scope) => (
          <Tick key={scope} label={text(`scope.${scope}`)} name={scope} defaultChecked={scope === "READ"} />
        ))}
        <Line label={text("keys.owner")} hint={text("keys.ownerHint")} name="ownerId" maxLength="128" />
      </Form>
    </>
  );
}
