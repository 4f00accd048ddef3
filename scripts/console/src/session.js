// The credential of this browser tab. It survives a reload, and ends with the tab.
import { md5 } from "@noble/hashes/legacy.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

import { ApiError, failureOf } from "./api_error.js";

const KEY = "recordings:console";
const PRINTABLE = /^[\x21-\x7e]+$/;

/** Return the session storage, or null if the user blocks it. */
function tabStorage() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

const storage = tabStorage();
let current = read();
let onEnd = () => {};

function read() {
  try {
    return JSON.parse(storage?.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
}

function save(session) {
  current = session;
  try {
    if (session) storage?.setItem(KEY, JSON.stringify(session));
    else storage?.removeItem(KEY);
  } catch {
    // The storage is full. The page works without it.
  }
}

/** Return the credential, or undefined. */
export const credential = () => current?.credential;

/** Call a function when the server no longer accepts the credential. */
export function whenSessionEnds(call) {
  onEnd = call;
}

/** Forget the credential, because the server rejects it. */
export function sessionEnded() {
  if (!current) return;
  save(null);
  onEnd();
}

/** Use a pasted token or API key. Accept a header, and an address with a token, too. */
export function useCredential(text) {
  const [, inAddress] = /#token=([^\s&]+)/.exec(text) ?? [];
  const found = inAddress
    ? decodeURIComponent(inAddress)
    : text.trim().replace(/^(x-auth-token:|authorization:)?\s*(bearer\s)?\s*/i, "");
  if (!PRINTABLE.test(found)) throw new ApiError("INVALID_INPUT");
  save({ credential: found });
}

/** Remove the token from the address, /console#token=…, and use it. The fragment is never sent to a server. */
export function takeToken() {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  if (token === null) return;
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  if (PRINTABLE.test(token)) save({ credential: token });
}

/** Sign in with a user name and a password. The server gets only their digest. */
export async function signIn({ account, user, password }) {
  const credentials = bytesToHex(md5(utf8ToBytes(`${user}:${password}`)));
  const data = { credentials, method: "md5", account_name: account, account_realm: account };
  const response = await send("v2/user_auth", {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ data }),
  });
  if (response.status === 401) throw new ApiError("WRONG_PASSWORD");
  if (!response.ok) throw failureOf(response);
  save({ credential: (await response.json()).auth_token, isOwn: true });
}

/** Forget the credential. A token that this page got for a password is ended on the server, too. */
export async function signOut() {
  const { credential: token, isOwn } = current ?? {};
  save(null);
  if (isOwn) await send("v2/token_auth", { method: "DELETE", headers: { "x-auth-token": token } }).catch(() => {});
}

/** Send a request to this server. Raise `ApiError` if the server is unreachable. */
export async function send(path, init) {
  // The page is at /console, so its address without the last part is that of the API.
  return fetch(new URL(path, document.baseURI), { ...init, cache: "no-store" }).catch((error) => {
    throw error.name === "AbortError" ? error : new ApiError("UNREACHABLE");
  });
}
