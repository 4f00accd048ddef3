// Subscriptions with published clients. The network fails, and each client continues behind the last item that it got.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createFetchMultipartSubscription } from "@apollo/client/utilities/subscriptions/relay";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { EventSource } from "eventsource";
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import { Environment, Network, Observable, RecordSource, Store } from "relay-runtime";
import { defer, repeat, retry } from "rxjs";
import WebSocket from "ws";

import { cableTo } from "./cable.mjs";

const FOLLOW = `subscription Follow($since: String, $recording: ID) {
  recordingChanged(since: $since, filter: { recordingId: $recording }) { kind cursor event { revision } recording { id } }
}`;
const WAIT = 20;
const ATTEMPTS = 500;
const soon = () => new Promise((resolve) => setTimeout(resolve, WAIT));

const auth = (token) => ({ authorization: `Bearer ${token}` });
const ws = ({ url, token }) =>
  createWs({
    url: url.replace("http", "ws"),
    connectionParams: auth(token),
    webSocketImpl: WebSocket,
    retryAttempts: ATTEMPTS,
    retryWait: soon,
    // By default the client retries closed connections only, and not those that it could not open.
    shouldRetry: () => true,
  });
const sse = ({ url, token }, singleConnection) =>
  createSse({ url, headers: () => auth(token), singleConnection, retryAttempts: ATTEMPTS, retry: soon });

// A client that connects again sends the same variables object again, so it gets the new place.
const resumed = (client, { query, operationName, variables: given }, sink) => {
  const variables = { ...given };
  return client.subscribe(
    { query, operationName, variables },
    {
      ...sink,
      next(result) {
        if (result.data) variables.since = result.data.recordingChanged.cursor;
        sink.next(result);
      },
    },
  );
};
const follow = (client, variables, next) =>
  resumed(client, { query: FOLLOW, variables }, { next, complete() {}, error: console.error });
const again = (subscribe, next) =>
  defer(subscribe).pipe(retry({ delay: WAIT }), repeat({ delay: WAIT })).subscribe(next);

const apollo = (link) => new ApolloClient({ link, cache: new InMemoryCache() });
const relay = (subscribe) => {
  const network = Network.create(() => Promise.reject(new Error("no query")), subscribe);
  const environment = new Environment({ network, store: new Store(new RecordSource()) });
  const request = { id: null, text: FOLLOW, name: "Follow", operationKind: "subscription" };
  return (variables) => environment.getNetwork().execute(request, variables, {});
};
const urql = (url, exchange, options) => new Client({ url, exchanges: [exchange], ...options });

const CLIENTS = {
  graphqlWs: (place, variables, next) => follow(ws(place), variables, next),
  sseDistinct: (place, variables, next) => follow(sse(place, false), variables, next),
  sseSingle: (place, variables, next) => follow(sse(place, true), variables, next),

  // It sends `Last-Event-ID` itself, and the same URL again.
  eventSource({ url, token }, variables, next) {
    const address = `${url}?${new URLSearchParams({ query: FOLLOW, variables: JSON.stringify(variables) })}`;
    const source = new EventSource(address, {
      fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...auth(token) } }),
    });
    source.addEventListener("next", (event) => next(JSON.parse(event.data)));
    return () => source.close();
  },

  apolloWs(place, variables, next) {
    const client = ws(place);
    const link = new GraphQLWsLink({ ...client, subscribe: (payload, sink) => resumed(client, payload, sink) });
    const subscription = apollo(link).subscribe({ query: gql(FOLLOW), variables }).subscribe(next);
    return () => subscription.unsubscribe();
  },

  apolloMultipart({ url, token }, { ...variables }, next) {
    const client = apollo(new HttpLink({ uri: url, headers: auth(token) }));
    const subscription = again(
      () => client.subscribe({ query: gql(FOLLOW), variables: { ...variables } }),
      (result) => {
        if (!result.data) return;
        variables.since = result.data.recordingChanged.cursor;
        next(result);
      },
    );
    return () => subscription.unsubscribe();
  },

  urql(place, variables, next) {
    const client = ws(place);
    const forwardSubscription = (payload) => ({
      subscribe: (sink) => ({ unsubscribe: resumed(client, payload, sink) }),
    });
    const { unsubscribe } = urql(place.url, subscriptionExchange({ forwardSubscription }))
      .subscription(FOLLOW, variables)
      .subscribe(next);
    return unsubscribe;
  },

  // urql's own fetch reads event streams, but does not connect again.
  urqlFetch({ url, token }, variables, next) {
    const client = urql(url, fetchExchange, { fetchSubscriptions: true, fetchOptions: { headers: auth(token) } });
    let since = variables.since;
    let isStopped = false;
    (async () => {
      while (!isStopped) {
        await new Promise((resolve) => {
          const { unsubscribe } = client.subscription(FOLLOW, { ...variables, since }).subscribe((result) => {
            if (result.data && !result.error) {
              if (since === result.data.recordingChanged.cursor) return;
              since = result.data.recordingChanged.cursor;
              next(result);
            }
            if (!result.hasNext) queueMicrotask(() => resolve(unsubscribe()));
          });
        });
        await soon();
      }
    })();
    return () => (isStopped = true);
  },

  relay(place, variables, next) {
    const client = ws(place);
    const execute = relay(({ text, name }, variables) =>
      Observable.create((sink) =>
        resumed(client, { query: text, operationName: name, variables }, sink),
      ),
    );
    const subscription = execute(variables).subscribe({ next });
    return () => subscription.unsubscribe();
  },

  relayMultipart({ url, token }, { ...variables }, next) {
    const execute = relay(createFetchMultipartSubscription(url, { headers: auth(token) }));
    let subscription;
    let isStopped = false;
    const start = () => {
      if (isStopped) return;
      subscription = execute({ ...variables }).subscribe({
        next(result) {
          variables.since = result.data.recordingChanged.cursor;
          next(result);
        },
        error: () => setTimeout(start, WAIT),
        complete: () => setTimeout(start, WAIT),
      });
    };
    start();
    return () => {
      isStopped = true;
      subscription.unsubscribe();
    };
  },
};

const post = async ({ url, token }, query, variables) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...auth(token), "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
};

// Follow the changes of one recording. The network fails in the middle.
const dropped = async (name, { url, token, recording }) => {
  const cable = await cableTo(url);
  const expected = [];
  const change = async (count) => {
    for (let number = 0; number < count; number += 1) {
      const input = { id: recording, label: `${name} ${expected.length}` };
      const query = "mutation($input: UpdateRecordingInput!) { updateRecording(input: $input) { recording { revision } } }";
      const { updateRecording } = await post({ url, token: "me" }, query, { input });
      expected.push(updateRecording.recording.revision);
    }
  };
  const got = [];
  let check = () => {};
  const received = (count) =>
    new Promise((resolve) => {
      check = () => got.length >= count && resolve();
      check();
    });
  const { recordingEvents } = await post({ url, token }, '{ recordingEvents(first: 1, since: "now") { cursor } }');
  const variables = { since: recordingEvents.cursor, recording };
  const stop = CLIENTS[name]({ url: cable.url, token }, variables, (result) => {
    got.push(result.data?.recordingChanged.event.revision ?? JSON.stringify(result));
    check();
  });
  await change(3);
  await received(3);
  cable.cut();
  await change(3);
  await soon();
  cable.mend();
  await received(6);
  await change(3);
  await received(9);
  stop();
  return { got, expected };
};

// Each client has a recording of its own. Two principals have enough connections for all.
export default async ({ url, recordings }) => {
  const names = Object.keys(CLIENTS);
  const results = await Promise.all(
    names.map((name, index) => dropped(name, { url, token: ["me", "reader"][index % 2], recording: recordings[index] })),
  );
  return Object.fromEntries(names.map((name, index) => [name, results[index]]));
};
