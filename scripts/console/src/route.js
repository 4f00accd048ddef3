// The state of the page in its address: /console#/recordings?state=STORED. The fragment is never sent to a server.
import { useEffect, useState } from "preact/hooks";

const HOME = "recordings";

/** Return the page, its id and its parameters in a fragment. */
export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [page, id] = path.split("/").map(decoded);
  return { page: page || HOME, id, params: Object.fromEntries(new URLSearchParams(query)) };
}

/** Return the decoded text, or the text itself if it is not encoded correctly. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Return the value of a name from an address; undefined also for names that every object has. */
export const own = (table, name) => (Object.hasOwn(table, name) ? table[name] : undefined);

/** Return the fragment of a page. Empty parameters are left out. The account stays, unless `params` has another one. */
export function href(path, params = {}) {
  const { account } = parseRoute(window.location.hash).params;
  const given = Object.entries({ account, ...params }).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  return `#/${path}${query && `?${query}`}`;
}

/** Open a page. */
export function go(path, params) {
  window.location.hash = href(path, params);
}

/** Return the route, and follow it. */
export function useRoute() {
  const [hash, setHash] = useState(window.location.hash);
  useEffect(() => {
    const changed = () => setHash(window.location.hash);
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return parseRoute(hash);
}
