// The form that asks for a credential.
import { useState } from "preact/hooks";

import { signIn, useCredential } from "./session.js";
import { text } from "./texts.js";
import { Failure, Line, Title } from "./ui.jsx";

/** The page without a session. `error` is why the session before is over. */
export function SignIn({ error, hasEnded, onSignedIn }) {
  const [way, setWay] = useState("token");
  const [failure, setFailure] = useState(error);
  const [isBusy, setIsBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const { token, ...names } = Object.fromEntries(new FormData(event.target));
    setFailure(undefined);
    setIsBusy(true);
    try {
      if (way === "token") useCredential(token);
      else await signIn(names);
      onSignedIn();
    } catch (caught) {
      setFailure(caught);
    }
    setIsBusy(false);
  };
  const ways = [
    ["token", text("signIn.byToken")],
    ["password", text("signIn.byPassword")],
  ];
  return (
    <main id="content" class="narrow">
      <Title>{text("signIn.title")}</Title>
      {hasEnded && (
        <p class="notice" role="status">
          {text("signIn.ended")}
        </p>
      )}
      <form class="card stack" onSubmit={submit}>
        <fieldset class="row">
          <legend>{text("signIn.how")}</legend>
          {ways.map(([value, shown]) => (
            <label key={value} class="tick">
              <input type="radio" name="way" value={value} checked={way === value} onChange={() => setWay(value)} />{" "}
              {shown}
            </label>
          ))}
        </fieldset>
        {way === "token" ? (
          <Line label={text("signIn.token")} hint={text("signIn.tokenHint")} name="token" type="password" required />
        ) : (
          <>
            <Line label={text("signIn.account")} name="account" required />
            <Line label={text("signIn.user")} name="user" autocomplete="username" required />
            <Line
              label={text("signIn.password")}
              name="password"
              type="password"
              autocomplete="current-password"
              required
            />
          </>
        )}
        <Failure error={failure} />
        <button class="primary" disabled={isBusy}>
          {text("signIn.submit")}
        </button>
      </form>
    </main>
  );
}
