// The table of recordings.
import { duration, party, when } from "./format.js";
import { href } from "./route.js";
import { text, word } from "./texts.js";

const COLUMNS = [
  ["start", "START"],
  ["caller", "CALLER"],
  ["callee"],
  ["duration", "DURATION"],
  ["label"],
  ["user"],
  ["state"],
];

/** The table. A click on a heading calls `onSort`. On a narrow screen, each row is a card. */
export function RecordingTable({ recordings, sort, onSort }) {
  return (
    <table class="cards" role="table">
      <thead role="rowgroup">
        <tr role="row">
          {COLUMNS.map(([name, field]) => (
            <Heading key={name} name={name} field={field} sort={sort} onSort={onSort} />
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {recordings.map((each) => (
          <Row key={each.plainId} recording={each} />
        ))}
      </tbody>
    </table>
  );
}

function Heading({ name, field, sort, onSort }) {
  const label = text(`list.column.${name}`);
  if (!field)
    return (
      <th role="columnheader" scope="col">
        {label}
      </th>
    );
  const order = sort === field ? "descending" : sort === `${field}-` ? "ascending" : undefined;
  return (
    <th role="columnheader" scope="col" aria-sort={order}>
      <button type="button" class="plain" onClick={() => onSort(sort === field ? `${field}-` : field)}>
        {label} {order && <span aria-hidden="true">{order === "ascending" ? "▲" : "▼"}</span>}
      </button>
    </th>
  );
}

function Row({ recording }) {
  const started = when(recording.start);
  const cells = {
    start: (
      <a
        href={href(`recording/${recording.plainId}`, { account: recording.accountId })}
        aria-label={text("list.open", { time: started })}
      >
        {started}
      </a>
    ),
    caller: party(recording.callerIdName, recording.callerIdNumber, recording.from),
    callee: party(recording.calleeIdName, recording.calleeIdNumber, recording.to),
    duration: duration(recording.durationMs),
    label: recording.label,
    user: recording.ownerId,
    state: (
      <>
        <span class={`state ${recording.state.toLowerCase()}`}>{word("state", recording.state)}</span>
        {recording.hold && <span class="state">{text("list.held")}</span>}
        {recording.reason && <small class="reason">{word("reason", recording.reason)}</small>}
      </>
    ),
  };
  return (
    <tr role="row">
      {COLUMNS.map(([name]) => (
        <td
          key={name}
          role="cell"
          data-label={text(`list.column.${name}`)}
          class={cells[name] ? undefined : "no-value"}
        >
          {cells[name]}
        </td>
      ))}
    </tr>
  );
}
