// What the codes of the API mean to a person, and what helps.

const REASONS = {
  address_refused: "The address that the tenant gave may not be called.",
  already_refreshed: "Another refresh had just succeeded.",
  answer_too_large: "The provider's answer was too large to be read.",
  app_removed: "The person removed the app at the provider.",
  bad_credentials: "The tenant's own key or secret is wrong.",
  busy: "Another call with the same key was still running.",
  code_refused: "The code of the consent was used up, or too old.",
  envelope_unreadable: "The stored credentials do not open: is a master key missing?",
  expired: "The token was past its end.",
  identity_mismatch: "The grant belongs to another account.",
  no_answer: "The provider did not answer in time.",
  no_refresh_material: "What a refresh needs is not there.",
  not_extended: "The provider's new token lives no longer than the old one.",
  not_needed: "There was nothing to do.",
  page_role_lost: "The person lost the role on the page.",
  password_changed: "The person changed the password.",
  permission_removed: "A permission was taken back.",
  poison: "Its job crashed workers, and was given up.",
  policy_block: "The provider holds the app back for its behaviour.",
  possibly_lost_rotation: "A new token was perhaps given out, and its answer lost.",
  private_address: "The address that the tenant gave is a private one.",
  provider_not_configured: "The provider is not in the settings of the workers.",
  redirected: "The provider's address sends elsewhere, and nobody follows.",
  revoked: "The provider no longer accepts the grant.",
  too_young: "The token is younger than the provider wants it to be.",
  unknown_answer: "The provider answered in a way that nobody knows.",
  unreachable: "No connection to the provider could be made.",
  user_checkpoint: "The person must clear a check at the provider first.",
  user_unconfirmed: "The person must confirm the account at the provider first.",
};

const ERRORS = {
  cancelled: "Somebody cancelled it.",
  fatal: "A bug, or the provider changed its contract.",
  misconfigured: "The provider refuses the app: its id, secret or rights are wrong.",
  no_refresh_material: "What a refresh needs is not there.",
  not_found: "There is no such channel.",
  rate_limited: "The provider has too many requests at the moment.",
  reauth_required: "Only a person can fix it.",
  retryable: "The provider failed for the moment.",
};

export const TROUBLES = {
  outage: "The provider does not answer, or with errors.",
  misconfigured: "The provider refuses the app: look at its id, secret and rights.",
  contract_drift: "The provider answers in a way that nobody knows.",
};

// Their accounts are keys, which no provider's page hands out.
const WITHOUT_LINKS = ["facturify", "service_token"];

export const canBeLinked = (provider) => !WITHOUT_LINKS.includes(provider);

/** The sentence for a reason, else for an error, else none. */
export const meaning = (reason, error) => REASONS[reason] ?? ERRORS[error] ?? "Nobody knows why.";

/** Everything that a provider's support or a search would want, in one line. */
export function codes(reason, error, details = {}) {
  const parts = [
    reason ?? error,
    details.provider_code && `code ${details.provider_code}${details.provider_subcode ? `/${details.provider_subcode}` : ""}`,
    details.http_status && `HTTP ${details.http_status}`,
    details.trace_id && `trace ${details.trace_id}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** What a visitor may do, by role or by the scopes of a service token. */
export function rights(me) {
  const operates = me.platform_admin || ["operator", "owner"].includes(me.role);
  const has = (...scopes) => scopes.some((scope) => me.scopes?.includes(scope));
  return {
    refresh: operates || has("refresh", "admin"),
    connect: operates || has("channels:write", "admin"),
  };
}
