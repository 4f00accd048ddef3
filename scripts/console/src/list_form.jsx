// The search, the filters and the order of the list.
import { useLayoutEffect, useState } from "preact/hooks";

import { instantOf, localTime } from "./format.js";
import { SEARCH_KINDS, SORTS, STATES, TIMES } from "./list_query.js";
import { href } from "./route.js";
import { text, word } from "./texts.js";
import { Choice, Line, Tick } from "./ui.jsx";

/** The form. Choices apply at once, a search with Enter. `onChange` is called with the changed parameters. */
export function ListForm({ params, onChange }) {
  const kind = SEARCH_KINDS.includes(params.in) ? params.in : SEARCH_KINDS[0];
  const [typed, setTyped] = useState("");
  useLayoutEffect(() => setTyped(params.q ?? ""), [params.q]);
  const submit = (event) => {
    event.preventDefault();
    const { from, to } = Object.fromEntries(new FormData(event.target));
    // A field shows minutes, and no zone. If it was not changed, the instant stays.
    const kept = (name, local) => (local === localTime(params[name]) ? params[name] : instantOf(local));
    onChange({ q: typed.trim(), from: kept("from", from), to: kept("to", to) });
  };
  const stateText = (value) => (value === value.toUpperCase() ? word("state", value) : text(`list.state.${value}`));
  const chosen = (name) => (event) =>
    onChange({ [name]: event.target.value === "any" ? undefined : event.target.value });
  return (
    <form class="card filters" role="search" aria-label={text("list.title")} onSubmit={submit}>
      <Choice
        label={text("list.searchIn")}
        value={kind}
        onChange={chosen("in")}
        options={SEARCH_KINDS.map((each) => [each, text(`list.in.${each}`)])}
      />
      <Line
        label={text("list.search")}
        hint={text(`list.searchHint.${kind}`)}
        type="search"
        value={typed}
        onInput={(event) => setTyped(event.target.value)}
      />
      <Choice
        label={text("list.state")}
        value={params.state ?? "any"}
        onChange={chosen("state")}
        options={STATES.map((each) => [each, stateText(each)])}
      />
      <Choice
        label={text("list.time")}
        value={params.time ?? "any"}
        onChange={chosen("time")}
        options={TIMES.map((each) => [each, text(`list.time.${each}`)])}
      />
      {params.time === "custom" && (
        <>
          <Line label={text("list.from")} name="from" type="datetime-local" defaultValue={localTime(params.from)} />
          <Line label={text("list.to")} name="to" type="datetime-local" defaultValue={localTime(params.to)} />
        </>
      )}
      <Choice
        label={text("list.sort")}
        value={params.sort ?? "START"}
        onChange={(event) => onChange({ sort: event.target.value })}
        options={SORTS.map((each) => [each, text(`list.sort.${each}`)])}
      />
      <Tick
        label={text("list.below")}
        checked={params.below === "1"}
        onChange={(event) => onChange({ below: event.target.checked ? "1" : undefined })}
      />
      <div class="row">
        <button class="primary">{text("list.submit")}</button>
        <a href={href("recordings")}>{text("list.reset")}</a>
      </div>
    </form>
  );
}
