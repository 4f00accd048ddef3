// Parts of the pages of an administrator.
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { mutate } from "./api.js";
import { text } from "./texts.js";
import { Empty, Failure } from "./ui.jsx";
import { useViewer } from "./viewer.js";

/**
 * Return {run, error, done}: `run` sends a mutation for the account, and returns its payload, or undefined.
 *
 * Its input is an object, or a function that returns one or raises `ApiError`.
 */
export function useChanges(onChange) {
  const { account } = useViewer();
  const [state, setState] = useState({});
  const run = async (mutation, input) => {
    try {
      const given = typeof input === "function" ? input() : input;
      const payload = await mutate(mutation, { ...given, accountId: account.plainId });
      setState({ done: true });
      onChange();
      return payload;
    } catch (error) {
      setState({ error });
      return undefined;
    }
  };
  return { ...state, run };
}

/** A form in a card. `onSubmit` is called with the values of its fields, and returns true to clear them. */
export function Form({ title, hint, error, submit, onSubmit, children }) {
  const send = async (event) => {
    event.preventDefault();
    const form = event.target;
    const given = [...new FormData(form)].filter(([, value]) => value !== "");
    if (await onSubmit(Object.fromEntries(given))) form.reset();
  };
  return (
    <form class="card stack" aria-label={title} onSubmit={send}>
      <h2>{title}</h2>
      {hint && <p class="hint">{hint}</p>}
      <div class="filters">{children}</div>
      <Failure error={error} />
      <button class="primary">{submit}</button>
    </form>
  );
}

/** A secret that cannot be read again. */
export function Secret({ label, value, children }) {
  if (!value) return null;
  return (
    <div class="card" role="status">
      <p>
        <strong>{label}</strong> {text("admin.once")}
      </p>
      <pre tabIndex={0}>{value}</pre>
      {children}
    </div>
  );
}

/** A table of items. `columns` has pairs of a heading and the function that returns the cell of an item. */
export function Items({ label, items, columns, empty }) {
  if (items.length === 0) return <Empty>{empty}</Empty>;
  return (
    <table class="cards" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(([heading]) => (
            <th key={heading} role="columnheader" scope="col">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {items.map((item) => (
          <tr key={item.id ?? item.label ?? ""} role="row">
            {columns.map(([heading, cell]) => (
              <td key={heading} role="cell" data-label={heading}>
                {cell(item)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A button that asks once more before it acts. */
export function Sure({ label, question, onSure }) {
  const [isAsking, setIsAsking] = useState(false);
  const answer = useRef();
  // The button that had the focus is gone.
  useLayoutEffect(() => answer.current?.focus(), [isAsking]);
  const act = () => {
    setIsAsking(false);
    onSure();
  };
  if (!isAsking) {
    return (
      <button type="button" onClick={() => setIsAsking(true)}>
        {label} …
      </button>
    );
  }
  return (
    <span class="row tight" role="group" aria-label={question}>
      <span role="status">{question}</span>
      <button ref={answer} type="button" class="primary" onClick={act}>
        {label}
      </button>
      <button type="button" onClick={() => setIsAsking(false)}>
        {text("cancel")}
      </button>
    </span>
  );
}
