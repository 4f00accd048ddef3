// The list of recordings as the address has it, and as the API asks for it.
import { own } from "./route.js";

const NUMBERS = ["callerIdNumber", "calleeIdNumber", "from", "to"];
const NAMES = ["callerIdName", "calleeIdName", "name"];
const CALLS = ["callId", "interactionId", "cdrId"];

/** What can be searched, with the fields of the API and the condition on them. */
const SEARCHES = {
  number: [NUMBERS, "prefix"],
  name: [NAMES, "prefix"],
  label: [["label"], "prefix"],
  user: [["ownerId"], "equal"],
  call: [CALLS, "equal"],
};
export const SEARCH_KINDS = Object.keys(SEARCHES);

/** States that the list offers together. */
export const GROUPS = {
  progress: ["REQUESTED", "ARMED", "RECORDING", "PAUSED", "MASKED", "FINALIZING"],
  problem: ["DISCARDED", "FAILED", "LOST"],
  failure: ["FAILED", "LOST"],
};
export const STATES = ["any", "progress", "STORED", "problem", "failure", "DISCARDED", "FAILED", "LOST", "held", "trash"];
export const TIMES = ["any", "today", "yesterday", "week", "month", "custom"];
export const SORTS = ["START", "START-", "DURATION", "DURATION-", "CALLER", "CALLER-", "ENDED", "CREATED", "MODIFIED"];
export const PAGE_SIZE = 50;

/** Return the instants of a time range: a name, or the times in `from` and `to`. */
export function timeRange({ time, from, to }, now = new Date()) {
  const day = (offset) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + offset);
  const ranges = {
    today: [day(0)],
    yesterday: [day(-1), day(0)],
    week: [day(-6)],
    month: [day(-29)],
    custom: [from, to].map((local) => (local ? new Date(local) : undefined)),
  };
  const [gte, lt] = (own(ranges, time) ?? []).map((each) =>
    each && !Number.isNaN(each.getTime()) ? each.toISOString() : undefined,
  );
  return gte || lt ? { gte, lt } : undefined;
}

/** Return the filter of the API for the parameters of an address. */
export function filterOf(params) {
  const all = [];
  const start = timeRange(params);
  if (start) all.push({ start });
  const [fields, condition] = own(SEARCHES, params.in) ?? SEARCHES.number;
  if (params.q) all.push({ or: fields.map((field) => ({ [field]: { [condition]: params.q } })) });
  const group = own(GROUPS, params.state);
  if (group) all.push({ state: { in: group } });
  else if (params.state === "held") all.push({ held: true });
  else if (STATES.includes(params.state) && !["any", "trash"].includes(params.state))
    all.push({ state: { equal: params.state } });
  if (params.without === "user") all.push({ ownerId: { known: false } });
  if (params.reason) all.push({ reason: { equal: params.reason } });
  if (params.label) all.push({ label: { equal: params.label } });
  return all.length === 0 ? undefined : all.length === 1 ? all[0] : { and: all };
}

/** Return the order of the API for a sort such as `START`, or `START-` for the other direction. */
export function orderOf(sort = "START") {
  return { field: sort.replace("-", ""), direction: sort.endsWith("-") ? "ASC" : "DESC" };
}

/** Return the variables of the list's query for the parameters of an address. */
export function variablesOf(params) {
  const page = params.before ? { last: PAGE_SIZE, before: params.before } : { first: PAGE_SIZE, after: params.after };
  return {
    filter: filterOf(params),
    orderBy: orderOf(SORTS.includes(params.sort) ? params.sort : undefined),
    trashed: params.state === "trash",
    descendants: params.below === "1",
    ...page,
  };
}
