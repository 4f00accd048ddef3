// What an administrator of the account manages. The address has the part that is shown.
import { IngestAddresses } from "./admin_ingest.jsx";
import { Keys } from "./admin_keys.jsx";
import { Retention } from "./admin_retention.jsx";
import { Users } from "./admin_users.jsx";
import { Webhooks } from "./admin_webhooks.jsx";
import { href, own } from "./route.js";
import { text } from "./texts.js";
import { Empty, Title } from "./ui.jsx";
import { useViewer } from "./viewer.js";

const PARTS = { users: Users, keys: Keys, ingest: IngestAddresses, retention: Retention, webhooks: Webhooks };

export function Administration({ route }) {
  const { viewer, can } = useViewer();
  const part = own(PARTS, route.id) ? route.id : "users";
  const Shown = PARTS[part];
  return (
    <>
      <Title>{text(`admin.${part}`)}</Title>
      <nav class="row" aria-label={text("nav.administration")}>
        {Object.keys(PARTS).map((each) => (
          <a key={each} href={href(`administration/${each}`)} aria-current={each === part ? "page" : undefined}>
            {text(`admin.${each}`)}
          </a>
        ))}
      </nav>
      {can("ADMIN") && !viewer.ownerId ? <Shown /> : <Empty>{text("noScope", { scope: "ADMIN" })}</Empty>}
    </>
  );
}
