// The request headers of the editor, and the token in them.
import { parse } from "jsonc-parser";

/** The headers of a page without a token. */
export const EMPTY = '{"X-Auth-Token": ""}';

const KEY = "recordings:headers";
const CREDENTIALS = ["x-auth-token", "authorization"];
const HISTORY = ["graphiql:queries", "graphiql:favorites"];

/** Return a storage of the browser, or null if the user blocks it. */
function openStorage(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}

const tabStorage = openStorage("sessionStorage");
let current = tabStorage?.getItem(KEY) ?? "";

/** The text of the header editor. It survives a reload, and ends with the browser's tab. */
export const session = {
  get text() {
    return current;
  },
  set text(text) {
    current = text;
    try {
      tabStorage?.setItem(KEY, text);
    } catch {
      // The storage is full. The page works without it.
    }
  },
};

/** Return the headers of a text as an object, or undefined if it is not a JSON object. Comments are allowed. */
export function parseHeaders(text) {
  const errors = [];
  const headers = parse(text, errors, { allowTrailingComma: true, allowEmptyContent: true }) ?? {};
  const isObject = typeof headers === "object" && !Array.isArray(headers);
  return errors.length === 0 && isObject ? headers : undefined;
}

/** Return the credentials of a text, "" if it has none, or undefined if it is not a JSON object. */
export function credentialIn(text) {
  const headers = parseHeaders(text);
  if (!headers) return undefined;
  const values = Object.entries(headers).map(([name, value]) =>
    CREDENTIALS.includes(name.toLowerCase()) ? String(value).replace(/^bearer(\s|$)/i, "").trim() : "",
  );
  return values.filter(Boolean).join(" ");
}

/** Return the text with this token in place of other credentials: the server rejects two different ones. */
export function withToken(text, token) {
  const others = Object.entries(parseHeaders(text) ?? {}).filter(([name]) => !CREDENTIALS.includes(name.toLowerCase()));
  const all = [["X-Auth-Token", token], ...others];
  return `{${all.map((pair) => pair.map((each) => JSON.stringify(each)).join(": ")).join(", ")}}`;
}

/** Remove the token from the address, /graphql#token=…, and return it. The fragment is never sent to a server. */
export function takeToken() {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  if (token === null) return "";
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  // Other characters cannot be sent in a header.
  return /^[\x21-\x7e]+$/.test(token) ? token : "";
}

/** Return the token in a pasted text: a token, the value of a header, headers as JSON, or an address with a token. */
export function tokenIn(text) {
  const [, inAddress] = /#token=([^\s&]+)/.exec(text) ?? [];
  if (inAddress) return decodeURIComponent(inAddress);
  return credentialIn(text) || text.replace(/^\s*bearer\s/i, "").trim();
}

/** Return the storage for GraphiQL's queries. It outlives the tab, so the headers are removed from the history. */
export function historyStorage() {
  const storage = openStorage("localStorage");
  if (!storage) return null;
  const setItem = (key, value) => storage.setItem(key, HISTORY.includes(key) ? withoutHeaders(value) : value);
  for (const key of HISTORY) {
    const value = storage.getItem(key);
    try {
      if (value) setItem(key, value);
    } catch {
      // It is not JSON. GraphiQL could not read it either.
      storage.removeItem(key);
    }
  }
  return {
    getItem: (key) => storage.getItem(key),
    setItem,
    removeItem: (key) => storage.removeItem(key),
    clear: () => storage.clear(),
    get length() {
      return storage.length;
    },
  };
}

function withoutHeaders(history) {
  return JSON.stringify(JSON.parse(history), (key, value) => (key === "headers" ? undefined : value));
}
