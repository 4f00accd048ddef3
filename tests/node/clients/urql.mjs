// urql with graphcache: pages that the cache joins, types without an id, and an update after a mutation.
import { Client, fetchExchange, gql } from "urql";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";

const PAGE = gql`
  query Page($first: Int, $after: String, $last: Int, $before: String) {
    recordings(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { id plainId state media { durationMs } options { format } } }
      pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
    }
  }
`;
const DELETE = gql`
  mutation Delete($input: DeleteRecordingInput!) {
    deleteRecording(input: $input) { recording { id state } errors { __typename ... on UserError { code message } } }
  }
`;
const embedded = () => null;

const clientWith = (url, token, warnings) =>
  new Client({
    url,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${token}` } },
    exchanges: [
      cacheExchange({
        keys: {
          Hold: embedded, Media: embedded, RecordingOptions: embedded, Span: embedded, Viewer: embedded,
        },
        resolvers: { Query: { recordings: relayPagination() } },
        logger: (level, message) => level === "debug" || warnings.push(message),
      }),
      fetchExchange,
    ],
  });

const run = async (promise) => {
  const { data, error } = await promise;
  if (error) throw error;
  return data;
};

const walk = async (client, variables, next) => {
  for (;;) {
    const { recordings } = await run(client.query(PAGE, variables).toPromise());
    const more = next(recordings.pageInfo);
    if (more === null) return recordings.edges.map((edge) => edge.node.plainId);
    variables = more;
  }
};

export default async ({ url, token, spare }) => {
  const warnings = [];
  const client = clientWith(url, token, warnings);
  const forward = await walk(client, { first: 4 }, (info) =>
    info.hasNextPage ? { first: 4, after: info.endCursor } : null,
  );
  const backward = await walk(clientWith(url, token, warnings), { last: 4 }, (info) =>
    info.hasPreviousPage ? { last: 4, before: info.startCursor } : null,
  );
  const { deleteRecording } = await run(client.mutation(DELETE, { input: { id: spare } }).toPromise());
  const refused = await clientWith(url, "wrong", []).query(PAGE, { first: 1 }).toPromise();
  return {
    forward,
    backward,
    warnings,
    deleted: deleteRecording.recording.state,
    unauthenticated: refused.error.graphQLErrors[0].extensions.code,
  };
};
