// Apollo Client: paging in both directions in its cache, merged media, and errors with a status of their own.
import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";
import { filter, firstValueFrom } from "rxjs";

const PAGE = gql`
  query Page($first: Int, $after: String, $last: Int, $before: String) {
    recordings(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { id plainId media { durationMs } } }
      pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
    }
  }
`;
const SIZE = gql`query Size { recordings(first: 1) { nodes { id media { contentType } } } }`;

const clientWith = (url, token) =>
  new ApolloClient({
    link: new HttpLink({ uri: url, headers: { authorization: `Bearer ${token}` } }),
    cache: new InMemoryCache({
      typePolicies: { Query: { fields: { recordings: relayStylePagination() } }, Media: { merge: true } },
    }),
  });

const walk = async (client, variables, next) => {
  const query = client.watchQuery({ query: PAGE, variables });
  const subscription = query.subscribe({ error: () => {} });
  try {
    for (let page = (await firstValueFrom(query.pipe(filter((result) => !result.loading)))).data.recordings.pageInfo; ; ) {
      const more = next(page);
      if (more === null) break;
      page = (await query.fetchMore({ variables: more })).data.recordings.pageInfo;
    }
    return client.readQuery({ query: PAGE, variables }).recordings.edges.map((edge) => edge.node.plainId);
  } finally {
    subscription.unsubscribe();
  }
};

const failure = async (url, token) => {
  const error = await clientWith(url, token).query({ query: SIZE }).then(() => null, (error) => error);
  return CombinedGraphQLErrors.is(error) ? error.errors[0].extensions.code : String(error);
};

export default async ({ url, token, limited }) => {
  const client = clientWith(url, token);
  const forward = await walk(client, { first: 4 }, (info) =>
    info.hasNextPage ? { first: 4, after: info.endCursor } : null,
  );
  // The newest recording is in the cache already. The other field of its media joins it.
  await client.query({ query: SIZE });
  const [first] = client.readQuery({ query: PAGE, variables: { first: 4 } }).recordings.edges;
  const other = clientWith(url, token);
  const backward = await walk(other, { last: 4 }, (info) =>
    info.hasPreviousPage ? { first: undefined, last: 4, before: info.startCursor } : null,
  );
  await failure(limited, token);
  return {
    forward,
    backward,
    merged: first.node.media.durationMs > 0,
    unauthenticated: await failure(url, "wrong"),
    limited: await failure(limited, token),
  };
};
