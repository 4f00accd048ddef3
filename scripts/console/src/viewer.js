// The credentials of the session, for all components.
import { createContext } from "preact";
import { useContext } from "preact/hooks";

const Viewer = createContext();

/** Gives the viewer and the account in the address to the components below. */
export const ViewerProvider = Viewer.Provider;

/** Return {viewer, account, can}: `can("DELETE")` tells whether the credentials have a scope. */
export function useViewer() {
  const { viewer, account } = useContext(Viewer);
  return { viewer, account, can: (scope) => viewer.scopes.includes(scope) };
}
