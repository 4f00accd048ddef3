// The page at /graphql: GraphiQL. It sends its queries to the URL that it was loaded from.
import "graphiql/style.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";

const EXAMPLE = `# Put your token or API key into the Headers below, then press Ctrl-Enter.
{
  viewer { name scopes account { name calls { callId from to } } }
  recordings(first: 10) {
    totalCount
    nodes { id start from to state durationMs media { url } }
    pageInfo { hasNextPage endCursor }
  }
}
`;
// The worker scripts are in the same folder as this script.
const beside = document.currentScript.src;

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) =>
    new Worker(new URL(`${["json", "graphql"].includes(label) ? label : "editor"}.worker.js`, beside)),
};

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={createGraphiQLFetcher({ url: window.location.pathname })}
    defaultQuery={EXAMPLE}
    initialHeaders={'{ "Authorization": "Bearer " }'}
    defaultEditorToolsVisibility="headers"
    isHeadersEditorEnabled
    shouldPersistHeaders={false}
  />,
);
