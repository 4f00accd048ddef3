// graphql-request and villus: a page, and the error of a request without credentials.
import { GraphQLClient } from "graphql-request";
import { createClient, fetch } from "villus";

const PAGE = "query Page($first: Int) { recordings(first: $first) { nodes { plainId } } }";
const ids = (data) => data.recordings.nodes.map((node) => node.plainId);

export const graphqlRequest = async ({ url, token }) => {
  const client = (token) => new GraphQLClient(url, { headers: { authorization: `Bearer ${token}` } });
  const error = await client("wrong").request(PAGE, { first: 1 }).catch((error) => error);
  return {
    forward: ids(await client(token).request(PAGE, { first: 100 })),
    unauthenticated: error.response.errors[0].extensions.code,
  };
};

export const villus = async ({ url, token }) => {
  const client = (token) =>
    createClient({
      url,
      use: [({ opContext }) => void (opContext.headers.authorization = `Bearer ${token}`), fetch()],
    });
  const refused = await client("wrong").executeQuery({ query: PAGE, variables: { first: 1 } });
  const { data } = await client(token).executeQuery({ query: PAGE, variables: { first: 100 } });
  return { forward: ids(data), unauthenticated: refused.error.graphqlErrors?.[0].extensions.code };
};
