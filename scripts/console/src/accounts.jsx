// The account tree, to switch accounts.
import { useState } from "preact/hooks";

import { request } from "./api.js";
import { href } from "./route.js";
import { text } from "./texts.js";
import { Failure, Title } from "./ui.jsx";
import { useViewer } from "./viewer.js";

const CHILDREN = /* GraphQL */ `
  query Children($id: ID!, $after: String) {
    account(id: $id) {
      children(first: 100, after: $after) {
        nodes {
          plainId
          name
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }
`;

/** The page with the tree. Its root is the account of the credentials. */
export function Accounts() {
  const { viewer } = useViewer();
  return (
    <>
      <Title>{text("accounts.title")}</Title>
      <p>{text("accounts.hint")}</p>
      <ul class="tree card">
        <Branch account={viewer.account} />
      </ul>
    </>
  );
}

function Branch({ account }) {
  const current = useViewer().account;
  const [below, setBelow] = useState();
  const [error, setError] = useState();
  const load = async (after) => {
    try {
      const { children } = (await request(CHILDREN, { id: account.plainId, after })).account;
      setError(undefined);
      setBelow({ nodes: [...(after ? below.nodes : []), ...children.nodes], next: children.pageInfo });
    } catch (caught) {
      setError(caught);
    }
  };
  const label = text(below ? "accounts.close" : "accounts.open", { name: account.name });
  return (
    <li>
      <button
        type="button"
        class="small"
        aria-expanded={Boolean(below)}
        aria-label={label}
        onClick={() => (below ? setBelow(undefined) : load())}
      >
        {below ? "−" : "+"}
      </button>
      <a href={href("recordings", { account: account.plainId })}>{account.name}</a>{" "}
      {account.plainId === current.plainId && <small>({text("accounts.current")})</small>}
      <Failure error={error} onRetry={() => load()} />
      {below && below.nodes.length === 0 && <p class="hint">{text("accounts.empty")}</p>}
      {below && below.nodes.length > 0 && (
        <ul>
          {below.nodes.map((each) => (
            <Branch key={each.plainId} account={each} />
          ))}
        </ul>
      )}
      {below?.next.hasNextPage && (
        <button type="button" onClick={() => load(below.next.endCursor)}>
          {text("accounts.more")}
        </button>
      )}
    </li>
  );
}
