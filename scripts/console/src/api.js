// Requests to the GraphQL API.
import { ApiError, failureOf } from "./api_error.js";
import { credential, send, sessionEnded } from "./session.js";

/** Send a query or a mutation, and return its data. Raise `ApiError`. */
export async function request(query, variables = {}, signal = undefined) {
  const used = credential();
  const response = await send("graphql", {
    method: "POST",
    signal,
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json",
      "x-auth-token": used ?? "",
    },
    body: JSON.stringify({ query, variables }),
  });
  const body = response.headers.get("content-type")?.includes("json") ? await response.json() : undefined;
  // A late answer must not end the session that came after.
  if (response.status === 401 && used === credential()) sessionEnded();
  const [error] = body?.errors ?? [];
  if (error) throw new ApiError(error.extensions?.code ?? failureOf(response).code, error.message);
  if (!body?.data) throw failureOf(response);
  return body.data;
}

/** Send a mutation with one field, and return its payload. Raise `ApiError` for the first error in the payload. */
export async function mutate(mutation, input) {
  const [payload] = Object.values(await request(mutation, { input }));
  const [error] = payload.errors;
  if (error) throw new ApiError(error.code, error.message);
  return payload;
}
