// The page at /graphql: GraphiQL, which sends its queries to the address that it was loaded from.
import "graphiql/style.css";
import "./app.css";

import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { useEffect, useMemo, useState } from "react";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";

import { EMPTY, credentialIn, historyStorage, parseHeaders, session, takeToken, tokenIn, withToken } from "./headers.js";
import { Notice } from "./notice.jsx";

const EXAMPLE = `# Run this query: press the arrow or Ctrl-Enter.
# Ctrl-Space shows the fields that you can add.
query Recordings {
  viewer {
    name scopes
    account { name calls(first: 10) { nodes { callId from to } } }
  }
  recordings(first: 10) {
    totalCount
    nodes {
      plainId start from to
      label state durationMs
      media { url }
    }
  }
}
`;
const PAUSE_MS = 300;
const storage = historyStorage();
// The workers are beside this script.
const scriptUrl = document.currentScript.src;

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) =>
    new Worker(new URL(`${["json", "graphql"].includes(label) ? label : "editor"}.worker.js`, scriptUrl)),
};

/** Send a request. The errors say what happened where the browser's own message would not. */
async function send(url, init) {
  // An invalid header is an error of its own.
  const request = new Request(url, init);
  const response = await fetch(request).catch(() => {
    throw new Error("the server cannot be reached");
  });
  if (!response.headers.get("content-type")?.includes("json")) {
    throw new Error(`the response is not JSON; its status is ${response.status} ${response.statusText}`.trim());
  }
  return response;
}

/** Open sockets for subscriptions: one for each set of headers, whose token the first message has. */
function subscriber() {
  let client;
  let used;
  return {
    subscribe: (payload, sink) => {
      const headers = parseHeaders(session.text) ?? {};
      const text = JSON.stringify(headers);
      if (text !== used) {
        client?.dispose();
        const { protocol, host, pathname } = window.location;
        const url = `${protocol === "https:" ? "wss" : "ws"}://${host}${pathname}`;
        client = createClient({ url, connectionParams: headers });
        used = text;
      }
      return client.subscribe(payload, sink);
    },
  };
}

function createFetcher() {
  const fetcher = createGraphiQLFetcher({ url: window.location.pathname, fetch: send, wsClient: subscriber() });
  // GraphiQL loads the schema before its header editor exists. It then has no headers.
  return (params, options) => fetcher(params, { ...options, headers: options?.headers ?? parseHeaders(session.text) });
}

function App() {
  const [credential, setCredential] = useState(() => credentialIn(session.text) ?? "");
  // With a new fetcher, GraphiQL loads the schema again.
  const fetcher = useMemo(createFetcher, [credential]);
  return (
    <GraphiQL
      fetcher={fetcher}
      // null: do not load the schema. Without a token the server would reject the request.
      schema={credential ? undefined : null}
      storage={storage}
      defaultQuery={EXAMPLE}
      initialHeaders={session.text}
      defaultHeaders={session.text}
      defaultEditorToolsVisibility="headers"
      isHeadersEditorEnabled
      shouldPersistHeaders={false}
    >
      <Session credential={credential} onCredential={setCredential} />
    </GraphiQL>
  );
}

/** Keep the headers for the next load of the page, and say what is missing. */
function Session({ credential, onCredential }) {
  const { headerEditor, responseEditor, fetchError, schema } = useGraphiQL((state) => ({
    headerEditor: state.headerEditor,
    responseEditor: state.responseEditor,
    fetchError: state.fetchError,
    schema: state.schema,
  }));
  const { introspect } = useGraphiQLActions();
  const [isJson, setIsJson] = useState(true);

  useEffect(() => {
    if (!headerEditor) return undefined;
    let timer;
    const read = () => {
      const found = credentialIn(session.text);
      setIsJson(found !== undefined);
      // While the user types, the text is not always JSON. The schema is kept.
      if (found !== undefined) onCredential(found);
    };
    const changed = ({ isFlush }) => {
      const text = headerEditor.getValue();
      if (isFlush && credentialIn(session.text) && !credentialIn(text)) {
        // Not typed: GraphiQL set the headers of a new tab, or of an entry of the history.
        headerEditor.setValue(session.text);
        return;
      }
      session.text = text;
      clearTimeout(timer);
      timer = setTimeout(read, PAUSE_MS);
    };
    const fromAddress = () => {
      const token = takeToken();
      if (token) headerEditor.setValue(withToken(headerEditor.getValue(), token));
    };
    const subscription = headerEditor.onDidChangeModelContent(changed);
    window.addEventListener("hashchange", fromAddress);
    return () => {
      clearTimeout(timer);
      subscription.dispose();
      window.removeEventListener("hashchange", fromAddress);
    };
  }, [headerEditor, onCredential]);

  useEffect(() => {
    // GraphiQL leaves the error in the response until the next query.
    if (schema && responseEditor?.getValue().includes('"errors"')) responseEditor.setValue("");
  }, [schema, responseEditor]);

  const use = (text) => headerEditor?.setValue(withToken(headerEditor.getValue(), tokenIn(text)));
  return (
    <Notice hasCredential={Boolean(credential)} isJson={isJson} error={fetchError} onToken={use} onRetry={introspect} />
  );
}

const token = takeToken();
if (token) session.text = withToken(session.text, token);
else if (!session.text) session.text = EMPTY;
createRoot(document.getElementById("graphiql")).render(<App />);
