// The webhooks of an account.
import { useRef, useState } from "preact/hooks";

import { Form, Items, Secret, Sure, useChanges } from "./admin_parts.jsx";
import { mutate } from "./api.js";
import { when } from "./format.js";
import { text, word } from "./texts.js";
import { Failure, Loaded } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";
import { answerOf, WebhookDetails } from "./webhook_details.jsx";
import { WebhookFields, webhookInput } from "./webhook_fields.jsx";

const WEBHOOKS = /* GraphQL */ `
  query Webhooks($account: ID!) {
    webhooks(first: 100, accountId: $account) {
      nodes {
        id
        url
        name
        types
        format
        enabled
        disabledReason
        disabledDetail
        waiting
        failures
        givenUp
        lastSuccess
        attempts(first: 1) {
          at
          status
          error
          succeeded
        }
      }
    }
  }
`;
const CREATE = /* GraphQL */ `
  mutation CreateWebhook($input: CreateWebhookInput!) {
    createWebhook(input: $input) {
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
const UPDATE = /* GraphQL */ `
  mutation UpdateWebhook($input: UpdateWebhookInput!) {
    updateWebhook(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const DELETE = /* GraphQL */ `
  mutation DeleteWebhook($input: DeleteWebhookInput!) {
    deleteWebhook(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const TEST = /* GraphQL */ `
  mutation TestWebhook($input: TestWebhookInput!) {
    testWebhook(input: $input) {
      attempt {
        succeeded
        status
        error
      }
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
export function Webhooks() {
  const { account } = useViewer();
  const query = useQuery(WEBHOOKS, { account: account.plainId });
  const [secret, setSecret] = useState();
  const [result, setResult] = useState({});
  const [opened, setOpened] = useState();
  const creation = useChanges(query.reload);
  // A repeated request with the same key creates no second webhook.
  const key = useRef(newKey());
  const create = async (values) => {
    const payload = await creation.run(CREATE, () => ({ ...webhookInput(values), idempotencyKey: key.current }));
    setSecret(payload?.secret);
    if (payload) key.current = newKey();
    return payload;
  };
  // These inputs have the id of the webhook, and no account.
  const run = async (mutation, input) => {
    try {
      setResult({ attempt: (await mutate(mutation, input)).attempt });
    } catch (error) {
      setResult({ error });
    }
    query.reload();
  };
  return (
    <>
      <Failure error={result.error} />
      <p role="status">
        {result.attempt &&
          text(result.attempt.succeeded ? "webhooks.tested" : "webhooks.testFailed", {
            answer: answerOf(result.attempt),
          })}
      </p>
      <Loaded query={query}>
        {({ webhooks }) => (
          <Items
            label={text("admin.webhooks")}
            items={webhooks.nodes}
            empty={text("webhooks.empty")}
            columns={[
              [text("webhooks.url"), (hook) => [hook.name, hook.url].filter(Boolean).join(": ")],
              [
                text("webhooks.types"),
                ({ types }) => types?.map((type) => word("event", type)).join(", ") ?? text("webhooks.allTypes"),
              ],
              [text("webhooks.format"), ({ format }) => word("webhook", format)],
              [text("admin.status"), statusOf],
              [text("webhooks.last"), ({ attempts: [last] }) => (last ? `${when(last.at)}: ${answerOf(last)}` : "")],
              [
                text("admin.actions"),
                (hook) => (
                  <div class="row tight">
                    <button type="button" onClick={() => setOpened(hook.id)}>
                      {text("webhooks.open")}
                    </button>
                    <button type="button" onClick={() => run(TEST, { id: hook.id })}>
                      {text("webhooks.test")}
                    </button>
                    <button type="button" onClick={() => run(UPDATE, { id: hook.id, enabled: !hook.enabled })}>
                      {text(hook.enabled ? "users.disable" : "users.enable")}
                    </button>
                    <Sure
                      label={text("users.delete")}
                      question={text("webhooks.sure")}
                      onSure={() => run(DELETE, { id: hook.id })}
                    />
                  </div>
                ),
              ],
            ]}
          />
        )}
      </Loaded>
      {opened && <WebhookDetails key={opened} id={opened} onChange={query.reload} />}
      <Secret label={text("webhooks.secret")} value={secret} />
      <Form
        title={text("webhooks.create")}
        hint={text("webhooks.hint")}
        error={creation.error}
        submit={text("webhooks.create")}
        onSubmit={create}
      >
        <WebhookFields />
      </Form>
    </>
  );
}

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16)).join("-");

function statusOf({ enabled, disabledReason, disabledDetail, waiting, failures, givenUp }) {
  const state = enabled
    ? text("users.enabled")
    : [text("users.disabled"), word("disabled", disabledReason), disabledDetail].filter(Boolean).join(": ");
  return [state, text("webhooks.counts", { waiting, failures, givenUp })].join(" · ");
}
