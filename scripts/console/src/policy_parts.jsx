// The parts of a policy: which calls are recorded, and the locks of an account.
import { text, word } from "./texts.js";
import { Choice, Line } from "./ui.jsx";

const ANY = { ANY: "policy.any" };
const DIRECTIONS = ["ANY", "INBOUND", "OUTBOUND"];
const NETWORKS = ["ANY", "ONNET", "OFFNET"];
const DECISIONS = ["RECORD", "DO_NOT_RECORD"];
const FORMATS = ["MP3", "WAV"];
const RATES = ["HZ_8000", "HZ_16000", "HZ_24000", "HZ_32000", "HZ_48000"];
const LOCKS = ["FORCE", "NEVER"];
const NEW_CELL = { direction: "ANY", network: "ANY", decision: "RECORD" };
const NEW_LOCK = { kind: "NEVER", numbers: [], exceptions: [] };
const NUMBERS = ["recordMinSec", "timeLimit"];

const shown = (kind, value) => (value in ANY ? text(ANY[value]) : word(kind, value));
const withDefault = (options) => [["", text("policy.default")], ...options];

/** A list of parts, with a button that adds one, and one on each that removes it. */
function Parts({ title, parts, addition, addText, empty, onChange, children }) {
  const replaced = (index, part) => parts.map((each, at) => (at === index ? part : each));
  return (
    <fieldset class="stack">
      <legend>{title}</legend>
      {parts.length === 0 && <p class="hint">{empty}</p>}
      {parts.map((part, index) => (
        // A part has no id. Its place is its identity, because parts are only added at the end.
        <div key={`${index} of ${parts.length}`} class="filters part" role="group" aria-label={`${title} ${index + 1}`}>
          {children(part, (changes) => onChange(replaced(index, { ...part, ...changes })))}
          <div class="row">
            <button type="button" onClick={() => onChange(parts.filter((_, at) => at !== index))}>
              {text("policy.remove")}
            </button>
          </div>
        </div>
      ))}
      <div>
        <button type="button" onClick={() => onChange([...parts, addition])}>
          {addText}
        </button>
      </div>
    </fieldset>
  );
}

export function PolicyCells({ cells, onChange }) {
  return (
    <Parts
      title={text("policy.cells")}
      parts={cells}
      addition={NEW_CELL}
      addText={text("policy.addCell")}
      empty={text("policy.noCells")}
      onChange={onChange}
    >
      {(cell, change) => {
        const choice = (name, kind, options) => (
          <Choice
            label={text(`policy.cell.${name}`)}
            value={cell[name] ?? ""}
            onChange={(event) => change({ [name]: event.target.value || null })}
            options={options.map((each) => (Array.isArray(each) ? each : [each, shown(kind, each)]))}
          />
        );
        const seconds = (name) => (
          <Line
            label={text(`policy.cell.${name}`)}
            type="number"
            min="0"
            value={cell[name] ?? ""}
            onInput={(event) => change({ [name]: event.target.value === "" ? null : Number(event.target.value) })}
          />
        );
        return (
          <>
            {choice("direction", "direction", DIRECTIONS)}
            {choice("network", "network", NETWORKS)}
            {choice("decision", "decision", [["", text("policy.inherit")], ...DECISIONS])}
            {choice("format", "format", withDefault(FORMATS.map((each) => [each, each])))}
            {choice("recordSampleRate", "rate", withDefault(RATES.map((each) => [each, `${each.slice(3)} Hz`])))}
            {NUMBERS.map(seconds)}
            <Choice
              label={text("policy.cell.begin")}
              value={cell.recordOnAnswer ? "answer" : cell.recordOnBridge ? "bridge" : ""}
              onChange={({ target: { value } }) =>
                change({ recordOnAnswer: value === "answer" || null, recordOnBridge: value === "bridge" || null })
              }
              options={withDefault(["answer", "bridge"].map((each) => [each, text(`policy.begin.${each}`)]))}
            />
            <Line
              label={text("policy.cell.url")}
              type="url"
              value={cell.url ?? ""}
              onInput={(event) => change({ url: event.target.value || null })}
            />
          </>
        );
      }}
    </Parts>
  );
}

/** Return the numbers in a line of text. */
const numbersIn = (line) => line.split(/[\s,;]+/).filter(Boolean);

export function PolicyLocks({ locks, onChange }) {
  return (
    <Parts
      title={text("policy.locks")}
      parts={locks}
      addition={NEW_LOCK}
      addText={text("policy.addLock")}
      empty={text("policy.noLocks")}
      onChange={onChange}
    >
      {(lock, change) => {
        const choice = (name, options) => (
          <Choice
            label={text(`policy.cell.${name}`)}
            value={lock[name] ?? "ANY"}
            onChange={({ target: { value } }) => change({ [name]: value === "ANY" ? null : value })}
            options={options.map((each) => [each, shown(name, each)])}
          />
        );
        const numbers = (name) => (
          <Line
            label={text(`policy.lock.${name}`)}
            hint={text("policy.lock.numbersHint")}
            defaultValue={lock[name].join(" ")}
            onChange={(event) => change({ [name]: numbersIn(event.target.value) })}
          />
        );
        return (
          <>
            <Choice
              label={text("policy.lock.kind")}
              value={lock.kind}
              onChange={(event) => change({ kind: event.target.value })}
              options={LOCKS.map((each) => [each, text(`policy.lock.${each}`)])}
            />
            {choice("direction", DIRECTIONS)}
            {choice("network", NETWORKS)}
            {numbers("numbers")}
            {numbers("exceptions")}
          </>
        );
      }}
    </Parts>
  );
}
