// Data of the API for a component.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { request } from "./api.js";

const always = () => true;

/**
 * Return {data, error, isLoading, reload} for a query.
 *
 * The data of the query before stays until the next data arrives. `every` is the time in milliseconds after which the
 * data is read again, while a function of the data returns true and the page is visible.
 */
export function useQuery(query, variables, { every = 0, while: isNeeded = always, skip = false } = {}) {
  const [state, setState] = useState({ isLoading: !skip });
  const running = useRef();
  const latest = useRef();
  latest.current = state.data;
  const key = JSON.stringify(variables);
  const load = useCallback(async () => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((before) => ({ ...before, isLoading: true }));
    try {
      const data = await request(query, JSON.parse(key), controller.signal);
      if (running.current === controller) setState({ data, isLoading: false });
    } catch (error) {
      if (error.name !== "AbortError" && running.current === controller) setState({ error, isLoading: false });
    }
  }, [query, key]);
  useEffect(() => {
    if (skip) return undefined;
    load();
    const timer = every && setInterval(() => document.hidden || !isNeeded(latest.current) || load(), every);
    return () => {
      clearInterval(timer);
      running.current?.abort();
      running.current = undefined;
    };
  }, [load, every, skip, isNeeded]);
  return { ...state, reload: load };
}
