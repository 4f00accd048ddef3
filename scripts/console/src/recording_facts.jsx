// The data of a recording.
import { bytes, duration, party, when } from "./format.js";
import { href } from "./route.js";
import { text, word } from "./texts.js";

/** A list of names and values. Those without a value are left out. */
export function Facts({ title, facts }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <dl>
        {facts
          .filter(([, value]) => value !== null && value !== undefined && value !== "")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{text(name)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}

export function RecordingFacts({ recording }) {
  const { media, delivery, hold, policy, consent } = recording;
  const problem = [word("reason", recording.reason), recording.reasonDetail].filter(Boolean).join(": ");
  return (
    <Facts
      title={text("recording.facts")}
      facts={[
        ["fact.state", word("state", recording.state)],
        ["fact.reason", problem],
        ["fact.end", word("end", recording.endCause)],
        ["list.column.caller", party(recording.callerIdName, recording.callerIdNumber, recording.from)],
        ["list.column.callee", party(recording.calleeIdName, recording.calleeIdNumber, recording.to)],
        ["fact.direction", word("direction", recording.direction)],
        ["list.column.start", when(recording.start)],
        ["fact.ended", when(recording.ended)],
        [
          "list.column.user",
          recording.ownerId && (
            <a href={href("recordings", { in: "user", q: recording.ownerId })}>{recording.ownerId}</a>
          ),
        ],
        ["fact.device", recording.endpointId],
        [
          "fact.call",
          <a href={href("recordings", { in: "call", q: recording.interactionId ?? recording.callId })}>
            {recording.callId}
          </a>,
        ],
        ["fact.interaction", recording.interactionId],
        ["fact.id", recording.plainId],
        [
          "fact.media",
          media &&
            text("fact.mediaText", {
              type: media.contentType,
              size: bytes(media.length),
              channels: media.channels,
              rate: media.sampleRate,
            }),
        ],
        ["fact.damage", media?.damage],
        ["fact.place", media?.place],
        ["fact.sha256", media?.sha256],
        ["fact.delivery", delivery && deliveryText(delivery)],
        ["fact.hold", hold && text("fact.holdText", { by: hold.by, at: when(hold.at), reason: hold.reason })],
        ["fact.deleteAt", when(recording.deleteAt)],
        [
          "fact.trashed",
          recording.trashedAt &&
            text("fact.trashedText", {
              at: when(recording.trashedAt),
              by: recording.trashedBy ?? "",
              purge: when(recording.purgeAt),
            }),
        ],
        ["fact.trashedReason", recording.trashedReason],
        ["fact.policy", policy && policyText(policy)],
        ["fact.consent", consent && word("consent", consent.state)],
        ["fact.recorder", [recording.recorder, recording.node].filter(Boolean).join(", ")],
        ["fact.origin", recording.origin],
      ]}
    />
  );
}

function deliveryText({ state, attempts, lastError, dueAt, deliveredAt }) {
  const next = state === "PENDING" && dueAt ? text("fact.deliveryNext", { at: when(dueAt) }) : when(deliveredAt);
  return [text("fact.deliveryText", { state: word("delivery", state), attempts }), lastError, next]
    .filter(Boolean)
    .join(" · ");
}

/** Return which policy decided, in words. */
export function policyText({ source, decision, reasons, cell, documentId }) {
  return [`${word("decision", decision)}: ${word("source", source)}`, documentId, cell, ...reasons]
    .filter(Boolean)
    .join(" · ");
}
