// The rules for the schema.
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
      // A type with an identity has an `id`. These types have none: parts of another object, figures, payloads, errors.
      "@graphql-eslint/strict-id-in-types": [
        "error",
        {
          acceptedIdNames: ["id"],
          acceptedIdTypes: ["ID"],
          exceptions: {
            types: [
              "AccountQuota", "AccountUsage", "AuditObject", "Hold", "KazooWebhook", "Media", "PageInfo", "PlannedRecording", "PolicyCell", "PolicyLevel", "PolicyLock",
              "RecordingConsent", "RecordingOptions", "RetentionRule", "Span", "Viewer", "WebhookAttempt",
              "WebhookReplay", "_Service",
            ],
            suffixes: [
              "Change", "Connection", "Decision", "Edge", "Error", "Explanation", "Figures", "Payload", "Stats", "StatsRow",
            ],
          },
        },
      ],
      // `nodes`, `errors` of payloads and parts of a recording are lists without edges.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
      // Apollo Federation sets names that begin with an underscore. tests/graph/test_schema.py allows no others.
      "@graphql-eslint/naming-convention": [
        "error",
        {
          ...recommended["@graphql-eslint/naming-convention"][1],
          types: { style: "PascalCase", ignorePattern: "^_" },
          FieldDefinition: { style: "camelCase", ignorePattern: "^_" },
          allowLeadingUnderscore: true,
        },
      ],
      "@graphql-eslint/input-name": ["error", { checkInputType: true, caseSensitiveInputType: false }],
      "@graphql-eslint/require-deprecation-date": "error",
      "@graphql-eslint/no-scalar-result-type-on-mutation": "error",
    },
  },
];
