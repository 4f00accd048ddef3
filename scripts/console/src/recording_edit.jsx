// The form for the label, the name and the metadata of a recording.
import { useState } from "preact/hooks";

import { mutate } from "./api.js";
import { parseObject } from "./json_object.js";
import { text } from "./texts.js";
import { Failure, Field, Line } from "./ui.jsx";

const UPDATE = /* GraphQL */ `
  mutation Update($input: UpdateRecordingInput!) {
    updateRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;

/** Return the input that changes `before` into `after`. The API merges keys, and removes those with null. */
export function metadataChanges(before, after) {
  const removed = Object.keys(before).filter((key) => !(key in after));
  return { ...after, ...Object.fromEntries(removed.map((key) => [key, null])) };
}

export function RecordingEdit({ recording, onChange }) {
  const [error, setError] = useState();
  const submit = async (event) => {
    event.preventDefault();
    const { label, name, metadata } = Object.fromEntries(new FormData(event.target));
    try {
      const userMetadata = metadataChanges(recording.userMetadata, parseObject(metadata));
      await mutate(UPDATE, { id: recording.plainId, label: label || null, name: name || null, userMetadata });
      setError(undefined);
      onChange();
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <form class="card stack" onSubmit={submit} aria-label={text("edit.title")}>
      <h2>{text("edit.title")}</h2>
      <Line label={text("list.column.label")} name="label" defaultValue={recording.label ?? ""} maxLength="128" />
      <Line
        label={text("edit.name")}
        hint={text("edit.nameHint")}
        name="name"
        defaultValue={recording.name}
        maxLength="255"
      />
      <Field label={text("edit.metadata")} hint={text("edit.metadataHint")}>
        {(field) => (
          <textarea
            {...field}
            name="metadata"
            rows="5"
            spellcheck={false}
            defaultValue={JSON.stringify(recording.userMetadata, undefined, 2)}
          />
        )}
      </Field>
      <Failure error={error} />
      <button class="primary">{text("edit.submit")}</button>
    </form>
  );
}
