// The fields of a webhook, for its creation and its change.
import { parseObject } from "./json_object.js";
import { text, word } from "./texts.js";
import { Choice, Field, Line, Tick } from "./ui.jsx";

const FORMATS = ["STANDARD", "CLOUDEVENTS_BINARY", "CLOUDEVENTS_STRUCTURED", "KAZOO"];
const TYPES = [
  "REQUESTED",
  "ARMED",
  "STARTED",
  "PAUSED",
  "RESUMED",
  "MASKED",
  "UNMASKED",
  "ENDED",
  "STORED",
  "DISCARDED",
  "FAILED",
  "LOST",
  "DELIVERED",
  "DELIVERY_FAILED",
  "TRASHED",
  "RESTORED",
  "PURGED",
  "HELD",
  "RELEASED",
  "AMENDED",
  "ACCESSED",
  "POLICY_CHANGED",
];
const EMPTY = { url: "", name: "", types: null, format: "STANDARD", filter: null, descendants: false };

export function WebhookFields({ webhook = EMPTY }) {
  return (
    <>
      <Line
        label={text("webhooks.url")}
        name="url"
        type="url"
        maxLength="2048"
        defaultValue={webhook.url}
        required
      />
      <Line label={text("users.name")} name="name" maxLength="128" defaultValue={webhook.name} />
      <Choice
        label={text("webhooks.format")}
        name="format"
        defaultValue={webhook.format}
        options={FORMATS.map((each) => [each, word("webhook", each)])}
      />
      <Tick label={text("list.below")} name="descendants" defaultChecked={webhook.descendants} />
      <Field label={text("webhooks.filter")} hint={text("webhooks.filterHint")}>
        {(field) => (
          <textarea
            {...field}
            name="filter"
            rows="3"
            spellcheck={false}
            defaultValue={webhook.filter ? JSON.stringify(webhook.filter) : ""}
          />
        )}
      </Field>
      <details class="wide" open={Boolean(webhook.types)}>
        <summary>{text("webhooks.types")}</summary>
        <p class="hint">{text("webhooks.typesHint")}</p>
        <TypeTicks chosen={webhook.types ?? []} />
      </details>
    </>
  );
}

/** A box for each type of event. */
export function TypeTicks({ chosen = [] }) {
  return (
    <div class="row" role="group" aria-label={text("webhooks.types")}>
      {TYPES.map((type) => (
        <Tick key={type} label={word("event", type)} name={`type.${type}`} defaultChecked={chosen.includes(type)} />
      ))}
    </div>
  );
}

/** Return the input of a mutation from the values of the fields. Raise `ApiError` if the filter is no JSON object. */
export function webhookInput({ url, name, format, filter, descendants, ...values }) {
  return {
    url,
    name: name ?? "",
    format,
    filter: filter ? parseObject(filter) : null,
    descendants: descendants === "on",
    types: chosenTypes(values),
  };
}

/** Return the ticked types; null if there are none, which means all. */
export function chosenTypes(values) {
  const chosen = TYPES.filter((type) => `type.${type}` in values);
  return chosen.length > 0 ? chosen : null;
}
