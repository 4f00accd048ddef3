// Figures of recordings, by hour, day or user. A click on a bar opens the list of its recordings.
import { Chart } from "./chart.jsx";
import { bytes, number, when, ZONE } from "./format.js";
import { go, href, own } from "./route.js";
import { text } from "./texts.js";
import { Choice, Empty, Loaded, Title } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { useViewer } from "./viewer.js";

const FIGURES = /* GraphQL */ `
  query Figures(
    $account: ID!
    $period: StatsPeriod!
    $zone: String!
    $bucket: StatsBucket
    $groupBy: [StatsDimension!]
    $orderBy: StatsOrder
    $top: Int
    $fill: Boolean!
    $descendants: Boolean!
  ) {
    account(id: $account) {
      recordingStats(
        period: $period
        timeZone: $zone
        bucket: $bucket
        groupBy: $groupBy
        orderBy: $orderBy
        top: $top
        fill: $fill
        descendants: $descendants
      ) {
        rows {
          bucketStart
          bucketEnd
          ownerId
          other
          count
          audioMs
          bytes
          failureRate
        }
        total {
          count
          audioMs
          bytes
          failureRate
        }
        asOf
      }
    }
  }
`;
const DAYS = { today: 1, week: 7, month: 30, quarter: 90 };
const TOP = 20;
const MINUTE = 60_000;

/** The figures: their value in a row, and the form in which it is shown. */
export const MEASURES = {
  recordings: { of: ({ count }) => count, format: number },
  minutes: { of: ({ audioMs }) => Number(audioMs) / MINUTE, format: number },
  failures: { of: ({ count, failureRate }) => Math.round(count * (failureRate ?? 0)), format: number },
  storage: { of: (row) => Number(row.bytes), format: bytes },
};

/** Return the variables of the query for the parameters of an address. */
export function figuresOf({ by, days }, now = new Date()) {
  const lt = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
  const gte = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1 - (own(DAYS, days) ?? DAYS.week));
  const period = { gte: gte.toISOString(), lt: lt.toISOString() };
  const groups = { groupBy: ["OWNER"], orderBy: { field: "COUNT", direction: "DESC" }, top: TOP, fill: false };
  return { period, zone: ZONE, ...(by === "user" ? groups : { bucket: by === "hour" ? "HOUR" : "DAY", fill: true }) };
}

export function Statistics({ route }) {
  const { account } = useViewer();
  const { params } = route;
  const by = ["hour", "day", "user"].includes(params.by) ? params.by : "day";
  const days = own(DAYS, params.days) ? params.days : "week";
  const variables = { account: account.plainId, descendants: false, ...figuresOf({ by, days }) };
  const query = useQuery(FIGURES, variables);
  const choose = (name) => (event) => go("statistics", { by, days, [name]: event.target.value });
  return (
    <>
      <Title>{text("stats.title")}</Title>
      <form class="card filters">
        <Choice
          label={text("stats.by")}
          value={by}
          onChange={choose("by")}
          options={["hour", "day", "user"].map((each) => [each, text(`stats.by.${each}`)])}
        />
        <Choice
          label={text("stats.days")}
          value={days}
          onChange={choose("days")}
          options={Object.keys(DAYS).map((each) => [each, text(`stats.days.${each}`)])}
        />
      </form>
      <Loaded query={query}>
        {({ account: { recordingStats } }) => <Figures stats={recordingStats} by={by} period={variables.period} />}
      </Loaded>
    </>
  );
}

/** Return the parameters of the list that has the recordings of a row; undefined if no list has exactly these. */
function listOf(row, by, period) {
  if (by !== "user") return { time: "custom", from: row.bucketStart, to: row.bucketEnd };
  if (row.other) return undefined;
  const user = row.ownerId ? { in: "user", q: row.ownerId } : { without: "user" };
  return { time: "custom", from: period.gte, to: period.lt, ...user };
}

function nameOf(row, by) {
  if (by !== "user") return when(row.bucketStart);
  return row.other ? text("stats.others") : (row.ownerId ?? text("stats.noUser"));
}

function Figures({ stats, by, period }) {
  const { rows, total } = stats;
  if (total.count === 0) return <Empty>{text("stats.empty")}</Empty>;
  const open = (measure, row) => {
    const list = listOf(row, by, period);
    if (list) go("recordings", { ...list, state: measure === "failures" ? "failure" : undefined });
  };
  const measures = Object.entries(MEASURES);
  return (
    <>
      <div class="columns">
        {measures.map(([name, { of, format }]) => (
          <section key={name} class="card">
            <h2>{text(`stats.${name}`, { total: format(of(total)) })}</h2>
            <Chart
              label={text(`stats.${name}`, { total: format(of(total)) })}
              times={by === "user" ? undefined : rows.map((row) => Date.parse(row.bucketStart) / 1000)}
              names={rows.map((row) => nameOf(row, by))}
              values={rows.map(of)}
              format={format}
              onOpen={(index) => open(name, rows[index])}
            />
          </section>
        ))}
      </div>
      <details class="card">
        <summary>{text("stats.table")}</summary>
        <table>
          <thead>
            <tr>
              <th scope="col">{text(`stats.by.${by}`)}</th>
              {measures.map(([name]) => (
                <th key={name} scope="col">
                  {text(`stats.column.${name}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows
              .filter(({ count }) => count > 0)
              .map((row) => (
                <tr key={`${row.bucketStart} ${row.ownerId} ${row.other}`}>
                  <th scope="row">
                    {listOf(row, by, period) ? (
                      <a href={href("recordings", listOf(row, by, period))}>{nameOf(row, by)}</a>
                    ) : (
                      nameOf(row, by)
                    )}
                  </th>
                  {measures.map(([name, { of, format }]) => (
                    <td key={name}>{format(of(row))}</td>
                  ))}
                </tr>
              ))}
          </tbody>
        </table>
      </details>
    </>
  );
}
