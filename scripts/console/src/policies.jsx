// The recording policies of an account, its users and its devices, and the explanation of a decision.
import { Explain } from "./explain.jsx";
import { PolicyForm } from "./policy_form.jsx";
import { go } from "./route.js";
import { text } from "./texts.js";
import { Choice, Empty, Line, Loaded, Title } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const POLICY = /* GraphQL */ `
  query Policy($scope: RecordingPolicyScope!, $id: ID, $account: ID!) {
    recordingPolicy(scope: $scope, id: $id, accountId: $account) {
      id
      fill
      consent
      duplicates
      revision
      modified
      cells {
        direction
        network
        decision
        format
        recordMinSec
        recordOnAnswer
        recordOnBridge
        recordSampleRate
        timeLimit
        url
      }
      locks {
        kind
        direction
        network
        numbers
        exceptions
      }
    }
  }
`;
const SCOPES = ["ACCOUNT", "ENDPOINT_DEFAULT", "USER", "DEVICE"];
const WITH_ID = ["USER", "DEVICE"];

export function Policies({ route }) {
  const { account } = useViewer();
  const scope = SCOPES.includes(route.params.scope) ? route.params.scope : SCOPES[0];
  const { id } = route.params;
  const needsId = WITH_ID.includes(scope);
  const key = `${scope} ${id}`;
  return (
    <>
      <Title>{text("policy.title")}</Title>
      <Chooser scope={scope} id={id} />
      {needsId && !id ? (
        <Empty>{text("policy.whose")}</Empty>
      ) : (
        <Policy key={key} scope={scope} id={needsId ? id : null} account={account.plainId} />
      )}
      <Explain />
    </>
  );
}

/** One policy. It has a query of its own, so that a form never shows another policy while it loads. */
function Policy({ scope, id, account }) {
  const query = useQuery(POLICY, { scope, id, account });
  return (
    <Loaded query={query}>
      {({ recordingPolicy }) =>
        recordingPolicy ? (
          <PolicyForm scope={scope} id={id} policy={recordingPolicy} onSaved={query.reload} />
        ) : (
          <Empty>{text("policy.unknown")}</Empty>
        )
      }
    </Loaded>
  );
}

/** The form that chooses the policy. Another choice opens at once, so that the page never shows a policy beside it. */
function Chooser({ scope, id }) {
  const submit = (event) => {
    event.preventDefault();
    go("policies", { scope, id: new FormData(event.target).get("id") });
  };
  return (
    <form class="card filters" onSubmit={submit}>
      <Choice
        label={text("policy.scope")}
        value={scope}
        onChange={(event) => go("policies", { scope: event.target.value })}
        options={SCOPES.map((each) => [each, text(`policy.scope.${each}`)])}
      />
      {WITH_ID.includes(scope) && (
        <>
          <Line
            key={`${scope} ${id}`}
            label={text(`policy.id.${scope}`)}
            name="id"
            defaultValue={id ?? ""}
            required
          />
          <div class="row">
            <button class="primary">{text("policy.show")}</button>
          </div>
        </>
      )}
    </form>
  );
}
