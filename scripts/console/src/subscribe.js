// Changes of the API as they happen, over server-sent events.
import { useEffect, useRef, useState } from "preact/hooks";

import { failureOf } from "./api_error.js";
import { credential, send } from "./session.js";

const RETRY_MS = 5000;
const GROUP_MS = 150;

/** Call `onOpen` when a subscription is open, and `onItem` for each of its items, until it ends. */
async function follow(query, variables, signal, onOpen, onItem) {
  const response = await send("graphql", {
    method: "POST",
    signal,
    headers: { "content-type": "application/json", accept: "text/event-stream", "x-auth-token": credential() ?? "" },
    body: JSON.stringify({ query, variables }),
  });
  if (!response.ok) throw failureOf(response);
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) if (/^event: ?next$/m.test(event)) onItem();
  }
}

/** Wait until the page is visible, or a signal is aborted. */
const visible = (signal) =>
  new Promise((resume) => {
    const waiting = new AbortController();
    const check = () => {
      if (document.hidden && !signal.aborted) return;
      waiting.abort();
      resume();
    };
    document.addEventListener("visibilitychange", check, { signal: waiting.signal });
    signal.addEventListener("abort", check, { signal: waiting.signal });
    check();
  });

/** Call a function with a signal that is aborted when the page is hidden, or with another signal. */
async function whileVisible(signal, call) {
  const ending = new AbortController();
  const check = () => (document.hidden || signal.aborted) && ending.abort();
  document.addEventListener("visibilitychange", check, { signal: ending.signal });
  signal.addEventListener("abort", check, { signal: ending.signal });
  await call(ending.signal);
  ending.abort();
}

/**
 * Call `onChange` after the items of subscriptions. Return true while all of them are open.
 *
 * Items that arrive together cause one call. A subscription that ends is opened again after some seconds.
 *
 * A hidden page has none: a browser opens only six connections to a server, and each subscription needs one.
 */
export function useChangesOf(queries, variables, onChange) {
  const [open, setOpen] = useState(0);
  const changed = useRef(onChange);
  changed.current = onChange;
  const key = JSON.stringify(variables);
  useEffect(() => {
    const controller = new AbortController();
    let timer;
    const note = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        changed.current();
      }, GROUP_MS);
    };
    const keep = async (query) => {
      await visible(controller.signal);
      while (!controller.signal.aborted) {
        let isOpen = false;
        const opened = () => {
          isOpen = true;
          setOpen((count) => count + 1);
          // What happened before is not in the subscription.
          note();
        };
        await whileVisible(controller.signal, (signal) =>
          follow(query, JSON.parse(key), signal, opened, note).catch(() => {}),
        );
        if (isOpen) setOpen((count) => count - 1);
        if (!document.hidden) await new Promise((resume) => setTimeout(resume, RETRY_MS));
        await visible(controller.signal);
      }
    };
    queries.forEach(keep);
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [queries, key]);
  return open === queries.length;
}
