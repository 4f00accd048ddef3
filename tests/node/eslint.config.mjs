// The schema rules that the API is held to.
import graphql from "@graphql-eslint/eslint-plugin";

const { rules: recommended } = graphql.configs["flat/schema-recommended"];
const { rules: relay } = graphql.configs["flat/schema-relay"];

export default [
  {
    files: ["**/*.graphql"],
    languageOptions: { parser: graphql.parser },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...recommended,
      ...relay,
      // What has an identity has an `id`. These have none: parts of something that has, answers, errors, and live calls,
      // whose ids are the switch's and no two accounts' own.
      "@graphql-eslint/strict-id-in-types": [
        "error",
        {
          acceptedIdNames: ["id"],
          acceptedIdTypes: ["ID"],
          exceptions: {
            types: ["Hold", "LiveCall", "Media", "PageInfo", "RecordingOptions", "Span", "Viewer"],
            suffixes: ["Connection", "Edge", "Error", "Payload"],
          },
        },
      ],
      // Nodes beside the edges, errors in payloads and the parts of a recording are lists of what is no edge.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
      "@graphql-eslint/input-name": ["error", { checkInputType: true, caseSensitiveInputType: false }],
      "@graphql-eslint/require-deprecation-date": "error",
      "@graphql-eslint/no-scalar-result-type-on-mutation": "error",
    },
  },
];
