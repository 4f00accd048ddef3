// The ingest addresses of an account, with the lines that a switch or a carrier needs.
import { useState } from "preact/hooks";

import { Form, Items, Secret, Sure, useChanges } from "./admin_parts.jsx";
import { when } from "./format.js";
import { text } from "./texts.js";
import { Loaded, Tick } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const ADDRESSES = /* GraphQL */ `
  query Addresses($account: ID!) {
    ingestAddresses(last: 100, accountId: $account) {
      nodes {
        id
        recordAll
        created
        revokedAt
      }
      totalCount
    }
  }
`;
const CREATE = /* GraphQL */ `
  mutation CreateAddress($input: CreateIngestAddressInput!) {
    createIngestAddress(input: $input) {
      url
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
  mutation RevokeAddress($input: RevokeIngestAddressInput!) {
    revokeIngestAddress(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;

/** Return the command that uploads a file to an address. */
export const curlLine = (url) => `curl -sS -T call.wav "${url}/call.wav?from=%2B14155550123&to=1001&call_id=7f3a"`;

/** Return the TwiML that streams a call to an address. */
export const twimlLines = (url) =>
  `<Response>\n  <Start>\n    <Stream url="${url.replace(/^http/, "ws")}/ws" track="both_tracks" />\n  </Start>\n</Response>`;

export function IngestAddresses() {
  const { account } = useViewer();
  const query = useQuery(ADDRESSES, { account: account.plainId });
  const [url, setUrl] = useState();
  const creation = useChanges(query.reload);
  const change = useChanges(query.reload);
  const create = async ({ recordAll }) => {
    const payload = await creation.run(CREATE, { recordAll: recordAll === "on" });
    setUrl(payload?.url);
    return payload;
  };
  return (
    <>
      <Loaded query={query}>
        {({ ingestAddresses }) => (
          <Items
            label={text("admin.ingest")}
            items={ingestAddresses.nodes}
            empty={text("ingest.empty")}
            columns={[
              [text("fact.id"), (address) => address.id],
              [text("ingest.records"), (address) => text(address.recordAll ? "ingest.all" : "ingest.asked")],
              [text("admin.created"), (address) => when(address.created)],
              [
                text("admin.status"),
                (address) =>
                  address.revokedAt ? (
                    text("admin.revoked", { at: when(address.revokedAt) })
                  ) : (
                    <Sure
                      label={text("admin.revoke")}
                      question={text("ingest.sure")}
                      onSure={() => change.run(REVOKE, { id: address.id })}
                    />
                  ),
              ],
            ]}
          />
        )}
      </Loaded>
      <Secret label={text("ingest.new")} value={url}>
        <p>{text("ingest.curl")}</p>
        <pre tabIndex={0}>{url && curlLine(url)}</pre>
        <p>{text("ingest.twiml")}</p>
        <pre tabIndex={0}>{url && twimlLines(url)}</pre>
      </Secret>
      <Form
        title={text("ingest.create")}
        hint={text("ingest.hint")}
        error={creation.error ?? change.error}
        submit={text("ingest.create")}
        onSubmit={create}
      >
        <Tick label={text("ingest.recordAll")} name="recordAll" />
      </Form>
    </>
  );
}
