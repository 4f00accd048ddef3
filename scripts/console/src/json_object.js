// JSON objects that a user writes.
import { ApiError } from "./api_error.js";

/** Return the object. Raise `ApiError` if the text is something else. An empty text is an empty object. */
export function parseObject(written) {
  try {
    const value = JSON.parse(written.trim() || "{}");
    if (value && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // The message below says what is allowed.
  }
  throw new ApiError("NOT_JSON");
}
