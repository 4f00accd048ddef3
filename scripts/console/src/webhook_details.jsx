// One webhook: its change, its secret, its attempts, and events that are sent again.
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { Form, Items, Secret, Sure } from "./admin_parts.jsx";
import { mutate } from "./api.js";
import { instantOf, when } from "./format.js";
import { text, word } from "./texts.js";
import { Line, Loaded } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { chosenTypes, TypeTicks, WebhookFields, webhookInput } from "./webhook_fields.jsx";

const WEBHOOK = /* GraphQL */ `
  query Webhook($id: ID!) {
    webhook(id: $id) {
      id
      url
      name
      types
      format
      filter
      descendants
      revision
      attempts {
        type
        at
        status
        error
      }
    }
  }
`;
const UPDATE = /* GraphQL */ `
  mutation ChangeWebhook($input: UpdateWebhookInput!) {
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
const ROTATE = /* GraphQL */ `
  mutation RotateSecret($input: RotateWebhookSecretInput!) {
    rotateWebhookSecret(input: $input) {
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
const REPLAY = /* GraphQL */ `
  mutation ReplayWebhook($input: ReplayWebhookInput!) {
    replayWebhook(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;

export function WebhookDetails({ id, onChange }) {
  const query = useQuery(WEBHOOK, { id });
  const changed = () => {
    query.reload();
    onChange();
  };
  return (
    <Loaded query={query}>{({ webhook }) => webhook && <Details webhook={webhook} onChange={changed} />}</Loaded>
  );
}

function Details({ webhook, onChange }) {
  const [state, setState] = useState({});
  const title = useRef();
  useLayoutEffect(() => title.current.focus(), []);
  const { id, revision } = webhook;
  const run = async (name, mutation, makeInput) => {
    try {
      const { secret } = await mutate(mutation, { id, ...makeInput() });
      setState({ done: text(`webhooks.${name}.done`), secret });
      onChange();
    } catch (error) {
      setState({ [name]: error });
    }
  };
  const change = (values) => run("change", UPDATE, () => ({ ...webhookInput(values), revision }));
  const replay = ({ since, until, ...values }) =>
    run("replay", REPLAY, () => ({ since: instantOf(since), until: instantOf(until), types: chosenTypes(values) }));
  return (
    <section aria-label={webhook.url}>
      <h2 ref={title} tabIndex={-1}>
        {webhook.url}
      </h2>
      <p role="status">{state.done}</p>
      <Form
        key={revision}
        title={text("webhooks.change")}
        error={state.change}
        submit={text("edit.submit")}
        onSubmit={change}
      >
        <WebhookFields webhook={webhook} />
      </Form>
      <Form
        title={text("webhooks.replay")}
        hint={text("webhooks.replay.hint")}
        error={state.replay}
        submit={text("webhooks.replay.submit")}
        onSubmit={replay}
      >
        <Line label={text("list.from")} name="since" type="datetime-local" required />
        <Line label={text("list.to")} name="until" type="datetime-local" />
        <details class="wide">
          <summary>{text("webhooks.types")}</summary>
          <TypeTicks />
        </details>
      </Form>
      <div class="card">
        <h2>{text("webhooks.attempts")}</h2>
        <Items
          label={text("webhooks.attempts")}
          items={webhook.attempts.map((attempt, index) => ({ ...attempt, id: index }))}
          empty={text("webhooks.attempts.empty")}
          columns={[
            [text("webhooks.attempts.at"), ({ at }) => when(at)],
            [text("webhooks.types"), ({ type }) => word("event", type)],
            [text("admin.status"), answerOf],
          ]}
        />
        <p>
          <Sure
            label={text("webhooks.rotate")}
            question={text("webhooks.rotate.sure")}
            onSure={() => run("rotate", ROTATE, () => ({}))}
          />
        </p>
      </div>
      <Secret label={text("webhooks.secret")} value={state.secret} />
    </section>
  );
}

/** Return the answer of a receiver, or the error of the attempt. */
export const answerOf = ({ status, error }) => error ?? String(status);
