// The colours of the style sheet, for canvases. They follow the reader's choice of light or dark.
import { useEffect, useState } from "preact/hooks";

/** Return the value of a colour of the style sheet, such as `accent`. */
export function color(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Return "dark" or "light", and follow the reader's choice. */
export function useScheme() {
  const [query] = useState(() => window.matchMedia("(prefers-color-scheme: dark)"));
  const [isDark, setIsDark] = useState(query.matches);
  useEffect(() => {
    const changed = () => setIsDark(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, [query]);
  return isDark ? "dark" : "light";
}
