// The users of an account.
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { Form, Items, Sure, useChanges } from "./admin_parts.jsx";
import { when } from "./format.js";
import { href } from "./route.js";
import { text } from "./texts.js";
import { Failure, Line, Loaded, Tick } from "./ui.jsx";
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
const UPDATE = /* GraphQL */ `
  mutation UpdateUser($input: UpdateUserInput!) {
    updateUser(input: $input) {
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
  const change = useChanges(query.reload);
  const [opened, setOpened] = useState();
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
                [text("admin.actions"), (user) => <Actions user={user} onOpen={setOpened} onRun={change.run} />],
              ]}
            />
            {users.totalCount > users.nodes.length && (
              <p class="hint">{text("admin.more", { count: users.totalCount })}</p>
            )}
            <Failure error={change.error} />
            {users.nodes
              .filter(({ id }) => id === opened)
              .map((user) => (
                <Details key={user.id} user={user} onChange={query.reload} />
              ))}
          </>
        )}
      </Loaded>
      <Form title={text("users.create")} error={creation.error} submit={text("users.create")} onSubmit={create}>
        <Line label={text("signIn.user")} name="username" maxLength="128" required />
        <Password label={text("signIn.password")} />
        <About user={{}} />
      </Form>
    </>
  );
}

function About({ user }) {
  return (
    <>
      <Line label={text("users.firstName")} name="firstName" maxLength="128" defaultValue={user.firstName} />
      <Line label={text("users.lastName")} name="lastName" maxLength="128" defaultValue={user.lastName} />
      <Line label={text("users.email")} name="email" type="email" maxLength="128" defaultValue={user.email} />
      <Tick label={text("users.makeAdmin")} name="isAdmin" defaultChecked={user.isAdmin} />
    </>
  );
}

function Password({ label }) {
  return (
    <Line
      label={label}
      hint={text("users.passwordHint")}
      name="password"
      type="password"
      autocomplete="new-password"
      minLength="8"
      required
    />
  );
}

function Details({ user, onChange }) {
  const title = useRef();
  useLayoutEffect(() => title.current.focus(), []);
  const about = useChanges(onChange);
  const password = useChanges(onChange);
  const { id } = user;
  // A field that was emptied is missing in the values of the form.
  const update = async ({ firstName = "", lastName = "", email = "", isAdmin }) => {
    await about.run(UPDATE, { id, firstName, lastName, email, isAdmin: isAdmin === "on" });
  };
  return (
    <section aria-label={user.username}>
      <h2 ref={title} tabIndex={-1}>
        {user.username}
      </h2>
      <p role="status">{(about.done || password.done) && text("users.done")}</p>
      <Form title={text("users.change")} error={about.error} submit={text("edit.submit")} onSubmit={update}>
        <About user={user} />
      </Form>
      <Form
        title={text("users.passwordTitle")}
        error={password.error}
        submit={text("users.setPassword")}
        onSubmit={(values) => password.run(SET_PASSWORD, { id, ...values })}
      >
        <Password label={text("users.newPassword")} />
      </Form>
    </section>
  );
}

function Actions({ user, onOpen, onRun }) {
  return (
    <div class="row tight">
      <button type="button" onClick={() => onOpen(user.id)}>
        {text("users.open")}
      </button>
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
