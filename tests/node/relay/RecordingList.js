// A list that a Relay client pages through in either direction.
import { graphql } from "relay-runtime";

export const forward = graphql`
  fragment RecordingList_forward on Account
  @refetchable(queryName: "RecordingListForwardQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 4 }, cursor: { type: "String" }) {
    recordings(first: $count, after: $cursor) @connection(key: "RecordingListForward_recordings") {
      edges {
        node {
          id
          plainId
        }
      }
    }
  }
`;

export const backward = graphql`
  fragment RecordingList_backward on Account
  @refetchable(queryName: "RecordingListBackwardQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 4 }, cursor: { type: "String" }) {
    recordings(last: $count, before: $cursor) @connection(key: "RecordingListBackward_recordings") {
      edges {
        node {
          id
          plainId
        }
      }
    }
  }
`;
