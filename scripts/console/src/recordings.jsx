// The list of recordings. Its address has the search, the filters, the order and the page.
import { ListForm } from "./list_form.jsx";
import { variablesOf } from "./list_query.js";
import { RecordingTable } from "./recording_table.jsx";
import { go, href } from "./route.js";
import { number } from "./format.js";
import { text } from "./texts.js";
import { Empty, Failure, Title } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const RECORDINGS = /* GraphQL */ `
  query Recordings(
    $account: ID!
    $filter: RecordingFilter
    $orderBy: RecordingOrder!
    $trashed: Boolean!
    $descendants: Boolean!
    $first: Int
    $after: String
    $last: Int
    $before: String
  ) {
    account(id: $account) {
      recordings(
        filter: $filter
        orderBy: $orderBy
        trashed: $trashed
        descendants: $descendants
        first: $first
        after: $after
        last: $last
        before: $before
      ) {
        nodes {
          plainId
          accountId
          start
          durationMs
          label
          state
          reason
          ownerId
          from
          to
          callerIdName
          callerIdNumber
          calleeIdName
          calleeIdNumber
          hold {
            at
          }
        }
        pageInfo {
          hasNextPage
          hasPreviousPage
          startCursor
          endCursor
        }
        totalCount
        totalCountIsExact
      }
    }
  }
`;

export function Recordings({ route }) {
  const { account, can } = useViewer();
  const { params } = route;
  const query = useQuery(RECORDINGS, { account: account.plainId, ...variablesOf(params) }, { skip: !can("READ") });
  if (!can("READ")) return <NoAccess />;
  const list = query.data?.account.recordings;
  // A change of the search or the order begins with the first page.
  const change = (changes) => go("recordings", { ...params, ...changes, after: undefined, before: undefined });
  return (
    <>
      <Title>{text("list.title")}</Title>
      <ListForm params={params} onChange={change} />
      <Failure error={query.error} onRetry={query.reload} />
      {!list && !query.error && <p role="status">{text("loading")}</p>}
      {list && (
        <div aria-busy={query.isLoading}>
          <p class="row spread">
            <span role="status">
              {text(list.totalCountIsExact ? "list.count" : "list.countAtLeast", { count: number(list.totalCount) })}
            </span>
            <button type="button" onClick={query.reload}>
              {text("refresh")}
            </button>
          </p>
          {list.nodes.length === 0 ? (
            <Empty>{text(emptyText(params))}</Empty>
          ) : (
            <RecordingTable recordings={list.nodes} sort={params.sort ?? "START"} onSort={(sort) => change({ sort })} />
          )}
          <Pager params={params} page={list.pageInfo} />
        </div>
      )}
    </>
  );
}

function emptyText(params) {
  if (params.state === "trash") return "list.emptyTrash";
  const isFiltered = ["q", "state", "time", "after", "before", "reason", "label", "without"].some((name) => params[name]);
  return isFiltered ? "list.empty" : "list.emptyAccount";
}

function Pager({ params, page }) {
  const to = (position) => href("recordings", { ...params, after: undefined, before: undefined, ...position });
  const isFirst = !params.after && !params.before;
  if (isFirst && !page.hasNextPage) return null;
  return (
    <nav class="row" aria-label={text("list.pages")}>
      {!isFirst && <a href={to({})}>{text("list.first")}</a>}
      {page.hasPreviousPage && <a href={to({ before: page.startCursor })}>{text("list.previous")}</a>}
      {page.hasNextPage && <a href={to({ after: page.endCursor })}>{text("list.next")}</a>}
    </nav>
  );
}

function NoAccess() {
  return (
    <>
      <Title>{text("list.title")}</Title>
      <Empty>{text("noScope", { scope: "READ" })}</Empty>
    </>
  );
}
