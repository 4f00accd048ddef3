// Gateways that join this API with a second one: Apollo Federation, and schema stitching.
import { buildSubgraphSchema } from "@apollo/subgraph";
import { delegateToSchema } from "@graphql-tools/delegate";
import { buildHTTPExecutor } from "@graphql-tools/executor-http";
import { getStitchedSchemaFromSupergraphSdl } from "@graphql-tools/federation";
import { stitchSchemas } from "@graphql-tools/stitch";
import { schemaFromExecutor } from "@graphql-tools/wrap";
import { composeServices } from "@theguild/federation-composition";
import { execute, parse } from "graphql";

const REVIEWS = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])
  type Query { reviews: [Review!]! }
  type Review { text: String! recording: Recording! }
  type Recording @key(fields: "id") { id: ID! reviews: [Review!]! }
  type PageInfo @shareable { hasNextPage: Boolean! }
`);

// A second service that knows the global ids of recordings, and nothing else of them.
const reviewsOf = (ids) => {
  const review = (id) => ({ text: `heard ${id}`, recording: { __typename: "Recording", id } });
  const resolvers = {
    Query: { reviews: () => ids.map(review) },
    Recording: { __resolveReference: ({ id }) => ({ id }), reviews: ({ id }) => [review(id)] },
  };
  return buildSubgraphSchema([{ typeDefs: REVIEWS, resolvers }]);
};

const locally = (schema) => ({ document, variables }) =>
  execute({ schema, document, variableValues: variables });

const executorFor = (url, token, sent = []) => {
  const headers = { authorization: `Bearer ${token}` };
  const executor = buildHTTPExecutor({ endpoint: url, headers });
  return async (request) => {
    sent.push(request);
    return executor(request);
  };
};

const ask = async (schema, source) => {
  const { data, errors } = await execute({ schema, document: parse(source), contextValue: {} });
  if (errors) throw errors[0].originalError ?? errors[0];
  return data;
};

export const federation = async ({ url, token, global }) => {
  const recordings = executorFor(url, token);
  const { data } = await recordings({ document: parse("{ _service { sdl } }") });
  const reviews = reviewsOf(global);
  const composed = composeServices([
    { name: "recordings", typeDefs: parse(data._service.sdl), url },
    { name: "reviews", typeDefs: REVIEWS },
  ]);
  if (composed.errors) throw new Error(composed.errors.map((error) => error.message).join("; "));
  const supergraph = getStitchedSchemaFromSupergraphSdl({
    supergraphSdl: composed.supergraphSdl,
    onSubschemaConfig: (config) => {
      config.executor = config.name.toLowerCase() === "reviews" ? locally(reviews) : recordings;
    },
  });
  const { reviews: found } = await ask(supergraph, "{ reviews { text recording { plainId } } }");
  const { recordings: page } = await ask(supergraph, "{ recordings(first: 3) { nodes { plainId reviews { text } } } }");
  return {
    forward: found.map((review) => review.recording.plainId),
    reviewed: page.nodes.map((node) => node.reviews[0].text),
  };
};

export const stitching = async ({ url, token, ids }) => {
  const sent = [];
  const executor = executorFor(url, token, sent);
  const schema = await schemaFromExecutor(executor);
  // Each recording of the list is a query of its own. The gateway sends them as one document, with an alias for each.
  const subschema = { schema, executor, batch: true };
  const many = Array.from({ length: 50 }, (_, at) => ids[at % ids.length]);
  const gateway = stitchSchemas({
    subschemas: [subschema],
    typeDefs: "type Review { text: String! recording: Recording } extend type Query { reviews: [Review!]! }",
    resolvers: {
      Query: { reviews: () => many.map((id) => ({ text: "heard", id })) },
      Review: {
        recording: {
          selectionSet: "{ __typename }",
          resolve: ({ id }, _args, context, info) =>
            delegateToSchema({ schema: subschema, operation: "query", fieldName: "recording", args: { id }, context, info }),
        },
      },
    },
  });
  sent.length = 0;
  const { reviews } = await ask(gateway, "{ reviews { recording { plainId state durationMs } } }");
  const found = reviews.map((review) => review.recording.plainId);
  return { forward: found.slice(0, ids.length), count: found.length, requests: sent.length };
};
