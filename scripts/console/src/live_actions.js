// The actions on a recording in progress.

const STOP = /* GraphQL */ `
  mutation Stop($input: StopRecordingInput!) {
    stopRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const PAUSE = /* GraphQL */ `
  mutation Pause($input: PauseRecordingInput!) {
    pauseRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const RESUME = /* GraphQL */ `
  mutation Resume($input: ResumeRecordingInput!) {
    resumeRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const MASK = /* GraphQL */ `
  mutation Mask($input: MaskRecordingInput!) {
    maskRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const UNMASK = /* GraphQL */ `
  mutation Unmask($input: UnmaskRecordingInput!) {
    unmaskRecording(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;

/** The mutations by the names of the actions. */
export const LIVE_ACTIONS = { stop: STOP, pause: PAUSE, resume: RESUME, mask: MASK, unmask: UNMASK };

const BY_STATE = {
  REQUESTED: ["stop"],
  ARMED: ["stop"],
  RECORDING: ["pause", "mask", "stop"],
  PAUSED: ["resume", "stop"],
  MASKED: ["unmask", "stop"],
};

/** Return the actions in a state, without those that the recorder cannot do, if its capabilities are known. */
export function liveActionsOf(state, capabilities = ["PAUSE", "MASK"]) {
  return (BY_STATE[state] ?? []).filter(
    (name) => !["pause", "mask"].includes(name) || capabilities.includes(name.toUpperCase()),
  );
}
