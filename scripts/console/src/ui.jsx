// Parts that several pages use.
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";

import { errorText, text } from "./texts.js";

/** A field with its label and a hint. `children` is called with the attributes for the control. */
export function Field({ label, hint, children }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": hint ? `${id}-hint` : undefined })}
      {hint && (
        <small id={`${id}-hint`} class="hint">
          {hint}
        </small>
      )}
    </div>
  );
}

/** A choice of one of several values. `options` has pairs of a value and its text. */
export function Choice({ label, hint, options, defaultValue, ...control }) {
  return (
    <Field label={label} hint={hint}>
      {(field) => (
        <select {...field} {...control}>
          {options.map(([value, shown]) => (
            <option key={value} value={value} selected={value === (control.value ?? defaultValue)}>
              {shown}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** A field for a line of text. */
export function Line({ label, hint, ...control }) {
  return (
    <Field label={label} hint={hint}>
      {(field) => <input {...field} type="text" autocomplete="off" spellcheck={false} {...control} />}
    </Field>
  );
}

/** A box to tick. */
export function Tick({ label, ...control }) {
  return (
    <label class="tick">
      <input type="checkbox" {...control} /> {label}
    </label>
  );
}

/** What went wrong, and what to do. A screen reader reads it at once. */
export function Failure({ error, onRetry }) {
  if (!error) return null;
  return (
    <div class="notice failure" role="alert">
      <p>
        <strong>{text("error.title")}</strong> {errorText(error)}
      </p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {text("retry")}
        </button>
      )}
    </div>
  );
}

/** A list without items, and what to do. */
export function Empty({ children }) {
  return <p class="notice">{children}</p>;
}

/** The data of a query: what is loaded, or its error. `children` is called with the data. */
export function Loaded({ query, children }) {
  return (
    <>
      <Failure error={query.error} onRetry={query.reload} />
      {query.data ? children(query.data) : query.error ? null : <p role="status">{text("loading")}</p>}
    </>
  );
}

/** The title of a page. It gets the focus when the page opens, so that a screen reader reads it. */
export function Title({ children }) {
  const title = useRef();
  // At once: a later effect would take the focus from a field that the user is in.
  useLayoutEffect(() => {
    title.current.focus();
  }, []);
  useEffect(() => {
    document.title = `${title.current.textContent} – ${text("title")}`;
  });
  return (
    <h1 ref={title} tabIndex={-1}>
      {children}
    </h1>
  );
}
