// The line above GraphiQL: what is missing, and what to do.
import { useState } from "react";

/** Return the first message of GraphiQL's error text, and its code. */
function readError(text) {
  try {
    const { message, extensions } = JSON.parse(text).errors[0];
    return { message, code: extensions?.code };
  } catch {
    return { message: text };
  }
}

function TokenForm({ onToken }) {
  const [text, setText] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) onToken(text.trim());
    setText("");
  };
  return (
    <form onSubmit={submit}>
      <input
        aria-label="Token or API key"
        placeholder="Token or API key"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit">Use</button>
    </form>
  );
}

export function Notice({ hasCredential, isJson, error, onToken, onRetry }) {
  if (!hasCredential) {
    return (
      <div className="notice" role="status">
        <p>
          {isJson
            ? "Enter a token or an API key. recordings serve --demo prints an address that contains one."
            : 'The headers are not a JSON object such as {"X-Auth-Token": "…"}. Correct them, or enter a token here.'}
        </p>
        <TokenForm onToken={onToken} />
      </div>
    );
  }
  if (!error) return null;
  const { message, code } = readError(error);
  if (code === "UNAUTHENTICATED") {
    return (
      <div className="notice" role="alert">
        <p>
          The server rejects the token: {message}. Enter another one, or open the address that recordings serve --demo
          printed.
        </p>
        <TokenForm onToken={onToken} />
      </div>
    );
  }
  return (
    <div className="notice" role="alert">
      <p>The schema was not loaded: {message}.</p>
      <button type="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}
