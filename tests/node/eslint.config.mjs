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
      // What has an identity has a global id; these are parts, answers and errors, which have none.
      "@graphql-eslint/strict-id-in-types": [
        "error",
        {
          acceptedIdNames: ["id"],
          acceptedIdTypes: ["ID"],
          exceptions: {
            types: ["Call", "Delivery", "Hold", "Media", "PageInfo", "RecordingOptions", "Span", "Viewer"],
            suffixes: ["Connection", "Edge", "Error", "Payload"],
          },
        },
      ],
      // Lists of nodes beside the edges, of errors and of parts are wanted.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
      // callId, recordingId and the like are the field's own words, and plain ids beside the global one.
      "@graphql-eslint/no-typename-prefix": "off",
      "@graphql-eslint/input-name": ["error", { checkInputType: true, caseSensitiveInputType: false }],
      "@graphql-eslint/require-deprecation-date": "error",
      "@graphql-eslint/no-scalar-result-type-on-mutation": "error",
    },
  },
];
