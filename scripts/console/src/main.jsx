// The page at /console.
import "uplot/dist/uPlot.min.css";
import "./console.css";

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Accounts } from "./accounts.jsx";
import { Administration } from "./administration.jsx";
import { ZONE } from "./format.js";
import { Live } from "./live.jsx";
import { Policies } from "./policies.jsx";
import { Recording } from "./recording.jsx";
import { Recordings } from "./recordings.jsx";
import { href, own, useRoute } from "./route.js";
import { credential, signOut, takeToken, whenSessionEnds } from "./session.js";
import { SignIn } from "./sign_in.jsx";
import { Statistics } from "./statistics.jsx";
import { text } from "./texts.js";
import { Failure, Title } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { ViewerProvider } from "./viewer.js";

const VIEWER = /* GraphQL */ `
  query Viewer {
    viewer {
      name
      ownerId
      scopes
      account {
        plainId
        name
      }
    }
  }
`;
const ACCOUNT = /* GraphQL */ `
  query Account($id: ID!) {
    account(id: $id) {
      plainId
      name
    }
  }
`;
const PAGES = {
  recordings: Recordings,
  recording: Recording,
  accounts: Accounts,
  live: Live,
  policies: Policies,
  statistics: Statistics,
  administration: Administration,
};
const NAVIGATION = ["recordings", "live", "policies", "statistics", "administration"];

function App() {
  const [session, setSession] = useState({ number: 0, isOpen: Boolean(credential()) });
  const restart = () => setSession(({ number }) => ({ number: number + 1, isOpen: Boolean(credential()) }));
  const accepted = () => setSession((before) => ({ ...before, hasWorked: true }));
  useEffect(() => {
    whenSessionEnds(() =>
      setSession(({ number, hasWorked }) => ({ number: number + 1, hasEnded: hasWorked, wasRefused: !hasWorked })),
    );
    // An address with a token that is opened in this tab only changes the fragment.
    const changed = () => window.location.hash.startsWith("#token=") && (takeToken(), restart());
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  const leave = async () => {
    await signOut();
    window.location.hash = "";
    restart();
  };
  if (session.isOpen) return <Session key={session.number} onAccepted={accepted} onSignOut={leave} />;
  const error = session.wasRefused ? { code: "UNAUTHENTICATED" } : undefined;
  return <SignIn key={session.number} error={error} hasEnded={session.hasEnded} onSignedIn={restart} />;
}

function Session({ onAccepted, onSignOut }) {
  const route = useRoute();
  const viewer = useQuery(VIEWER, {});
  const other = route.params.account;
  const account = useQuery(ACCOUNT, { id: other }, { skip: !other });
  const found = viewer.data?.viewer;
  useEffect(() => {
    if (found) onAccepted();
  }, [found]);
  // While another account loads, the data is that of the account before.
  const isOther = account.data?.account?.plainId === other;
  const shown = other ? (isOther ? account.data.account : undefined) : found?.account;
  const error =
    viewer.error ?? (other ? (account.error ?? (account.data && !account.isLoading && !shown && { code: "NOT_FOUND" })) : undefined);
  return (
    <>
      <Header account={shown} page={route.page} onSignOut={onSignOut} />
      <main id="content">
        <Failure error={error} onRetry={() => (viewer.error ? viewer : account).reload()} />
        {!found && !error && <p role="status">{text("loading")}</p>}
        {found && shown && (
          <ViewerProvider value={{ viewer: found, account: shown }}>
            <Page key={`${route.page} ${route.id} ${shown.plainId}`} route={route} />
          </ViewerProvider>
        )}
      </main>
      <footer>{text("times", { zone: ZONE })}</footer>
    </>
  );
}

function Page({ route }) {
  const Shown = own(PAGES, route.page);
  if (Shown) return <Shown route={route} />;
  return (
    <>
      <Title>{text("noPage")}</Title>
      <a href={href("recordings")}>{text("home")}</a>
    </>
  );
}

function Header({ account, page, onSignOut }) {
  return (
    <header>
      <a class="skip" href="#content" onClick={skipToContent}>
        {text("skip")}
      </a>
      <nav aria-label={text("nav.label")}>
        {NAVIGATION.map((each) => (
          <a key={each} href={href(each)} aria-current={page === each ? "page" : undefined}>
            {text(`nav.${each}`)}
          </a>
        ))}
      </nav>
      <div class="row">
        {account && <a href={href("accounts")}>{text("accountOf", { name: account.name })}</a>}
        <button type="button" onClick={onSignOut}>
          {text("signIn.out")}
        </button>
      </div>
    </header>
  );
}

function skipToContent(event) {
  // The fragment of the address is the page's state.
  event.preventDefault();
  document.querySelector("#content h1")?.focus();
}

takeToken();
render(<App />, document.getElementById("console"));
