// The errors that a page shows.

/** A request that failed. `code` is that of the API, or one of this page. `message` is the server's own text. */
export class ApiError extends Error {
  constructor(code, message = "") {
    super(message);
    this.code = code;
  }
}

const BY_STATUS = { 401: "UNAUTHENTICATED", 413: "INVALID_INPUT", 429: "RATE_LIMITED", 503: "UNAVAILABLE" };

/** Return the error of a response whose body does not say what failed. */
export function failureOf(response) {
  return new ApiError(BY_STATUS[response.status] ?? "INTERNAL", String(response.status));
}
