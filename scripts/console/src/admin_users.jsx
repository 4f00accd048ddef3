// The users of an account.
import { Form, Items, Sure, useChanges } from "./admin_parts.jsx";
import { when } from "./format.js";
import { href } from "./route.js";
import { text } from "./texts.js";
import { Line, Loaded, Tick } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const USERS = /* GraphQL */ `
  query Users($account: ID!) {
    users(first: 100, accountId: $account) {
      nodes {
        id
        username
        firstName
        lastName
        email
        isAdmin
        created
        disabledAt
      }
      totalCount
    }
  }
`;
const CREATE = /* GraphQL */ `
  mutation CreateUser($input: CreateUserInput!) {
    createUser(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const SET_PASSWORD = /* GraphQL */ `
  mutation SetPassword($input: SetUserPasswordInput!) {
    setUserPassword(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const SET_DISABLED = /* GraphQL */ `
  mutation SetDisabled($input: SetUserDisabledInput!) {
    setUserDisabled(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;
const DELETE = /* GraphQL */ `
  mutation DeleteUser($input: DeleteUserInput!) {
    deleteUser(input: $input) {
      errors {
        ... on UserError {
          code
          message
        }
      }
    }
  }
`;

export function Users() {
  const { account } = useViewer();
  const query = useQuery(USERS, { account: account.plainId });
  const creation = useChanges(query.reload);
  const password = useChanges(query.reload);
  const change = useChanges(query.reload);
  const create = ({ isAdmin, ...values }) => creation.run(CREATE, { ...values, isAdmin: isAdmin === "on" });
  return (
    <>
      <Loaded query={query}>
        {({ users }) => (
          <>
            <Items
              label={text("admin.users")}
              items={users.nodes}
              empty={text("users.empty")}
              columns={[
                [text("signIn.user"), (user) => user.username],
                [text("users.name"), (user) => [user.firstName, user.lastName].join(" ").trim() || user.email],
                [text("users.role"), (user) => text(user.isAdmin ? "users.admin" : "users.user")],
                [text("fact.id"), (user) => <a href={href("recordings", { in: "user", q: user.id })}>{user.id}</a>],
                [text("admin.created"), (user) => when(user.created)],
                [text("admin.status"), (user) => text(user.disabledAt ? "users.disabled" : "users.enabled")],
                [text("admin.actions"), (user) => <Actions user={user} onRun={change.run} />],
              ]}
            />
            {users.totalCount > users.nodes.length && (
              <p class="hint">{text("admin.more", { count: users.totalCount })}</p>
            )}
            <Form
              title={text("users.passwordTitle")}
              error={change.error ?? password.error}
              submit={text("users.setPassword")}
              onSubmit={(values) => password.run(SET_PASSWORD, values)}
            >
              <Line label={text("users.id")} name="id" required />
              <Line
                label={text("users.newPassword")}
                hint={text("users.passwordHint")}
                name="password"
                type="password"
                autocomplete="new-password"
                minLength="8"
                required
              />
            </Form>
          </>
        )}
      </Loaded>
      <Form title={text("users.create")} error={creation.error} submit={text("users.create")} onSubmit={create}>
        <Line label={text("signIn.user")} name="username" maxLength="128" required />
        <Line
          label={text("signIn.password")}
          hint={text("users.passwordHint")}
          name="password"
          type="password"
          autocomplete="new-password"
          minLength="8"
          required
        />
        <Line label={text("users.firstName")} name="firstName" maxLength="128" />
        <Line label={text("users.lastName")} name="lastName" maxLength="128" />
        <Line label={text("users.email")} name="email" type="email" maxLength="128" />
        <Tick label={text("users.makeAdmin")} name="isAdmin" />
      </Form>
    </>
  );
}

function Actions({ user, onRun }) {
  return (
    <div class="row tight">
      <button type="button" onClick={() => onRun(SET_DISABLED, { id: user.id, disabled: !user.disabledAt })}>
        {text(user.disabledAt ? "users.enable" : "users.disable")}
      </button>
      <Sure
        label={text("users.delete")}
        question={text("users.sure", { name: user.username })}
        onSure={() => onRun(DELETE, { id: user.id })}
      />
    </div>
  );
}
