//! The page at `/_sim/`, which teaches how to use the simulator.

use crate::world::World;
use crate::{
    FACTURIFY_API_KEY, FACTURIFY_API_SECRET, INSTAGRAM_APP_ID, INSTAGRAM_APP_SECRET, META_APP_ID,
    META_APP_SECRET, OAUTH2_CLIENT_ID, OAUTH2_CLIENT_SECRET, TIKTOK_APP_ID, TIKTOK_APP_SECRET,
    TIKTOK_CLIENT_KEY, TIKTOK_CLIENT_SECRET, WHATSAPP_CONFIG_ID,
};

/// Plain text with commands to copy.
pub(crate) fn text(world: &World) -> String {
    let origin = &world.origin;
    format!(
        r#"tokenfleet provider simulator
Every value is fake. Nothing here talks to a real provider.

POINT YOUR CODE AT IT (the app credentials are the defaults)
  META_BASE_URL={origin}/facebook        META_APP_ID={META_APP_ID} META_APP_SECRET={META_APP_SECRET}
  TIKTOK_BASE_URL={origin}/tiktok        TIKTOK_CLIENT_KEY={TIKTOK_CLIENT_KEY} TIKTOK_CLIENT_SECRET={TIKTOK_CLIENT_SECRET}
  FACTURIFY_BASE_URL={origin}/facturify  FACTURIFY_API_KEY={FACTURIFY_API_KEY} FACTURIFY_API_SECRET={FACTURIFY_API_SECRET}
  INSTAGRAM_BASE_URL={origin}/instagram  (WhatsApp's tokens live at META_BASE_URL)
  TIKTOK_BUSINESS_BASE_URL={origin}/tiktok_business  TIKTOK_APP_ID={TIKTOK_APP_ID} TIKTOK_APP_SECRET={TIKTOK_APP_SECRET}
  TIKTOK_LEGACY_BASE_URL={origin}/tiktok_legacy      (the client key of TikTok, no secret)
  SERVICE_TOKEN_BASE_URL={origin}/service_token/api
  oauth2:demo       token_url = {origin}/oauth2/demo/token       basic, form, rotating
  oauth2:demo_body  token_url = {origin}/oauth2/demo_body/token  body, form, never rotating
  oauth2:demo_json  token_url = {origin}/oauth2/demo_json/token  basic, JSON, rotating
                    client_id = {OAUTH2_CLIENT_ID} client_secret = {OAUTH2_CLIENT_SECRET}

MINT CREDENTIALS (the answer has what a tenant imports)
  curl -s {origin}/_sim/grants -d '{{"provider":"tiktok","expires_in":0}}'
  curl -s {origin}/_sim/grants -d '{{"provider":"facebook","kind":"page","expires_in":300}}'
  curl -s {origin}/_sim/grants -d '{{"provider":"tiktok","scenario":"invalid_grant_200","count":5}}'
  curl -s {origin}/_sim/grants -d '{{"provider":"oauth2:demo","scenario":"no_token_type"}}'
  curl -s {origin}/_sim/fleet -d '{{"count":100}}'
  curl -s {origin}/_sim/fleet -d '{{"count":100,"providers":["instagram","whatsapp","service_token"]}}'

AGREE AS A PERSON (each page asks who you are; &auto=1 agrees at once, with a new account)
  Facebook  {origin}/facebook/v25.0/dialog/oauth   with config_id={WHATSAPP_CONFIG_ID} it is WhatsApp
  Instagram {origin}/instagram/oauth/authorize     INSTAGRAM_APP_ID={INSTAGRAM_APP_ID} INSTAGRAM_APP_SECRET={INSTAGRAM_APP_SECRET}
  TikTok    {origin}/tiktok/v2/auth/authorize/     for Business below /tiktok_business, the old one at
            {origin}/tiktok_legacy/platform/oauth/connect/
  oauth2:demo {origin}/oauth2/demo/authorize       demo and demo_json ask for a code_challenge
  A code is good once and for a minute, with the redirect_uri that it was asked for with.

OR DECLARE THEM: the value says what happens, behind a - stands anything
  Facebook EAA_190_463-a    TikTok rft_cut_after_commit-b    Facturify key_get_only-c with secret_get_only-c
  Instagram IGAA_method_get-d    TikTok for Business brft_40105-e    legacy lrft_10020-f
  service token svc_status_403-g    oauth2:<name> rt_status_201-h

SCENARIOS OF ONE GRANT: its own fault, or a special answer; name:2 for the first two refreshes only
  curl -s {origin}/_sim/scenarios
  curl -s -X PATCH {origin}/_sim/grants/tiktok-1 -d '{{"scenario":"status_500:2"}}'
  curl -s -X DELETE {origin}/_sim/grants/tiktok-1        # the person removes the app

FAULTS BY RATE, for all or one provider
  curl -s -X PUT {origin}/_sim/faults -d 'status_500=0.2, tiktok.cut_after_commit=0.05'
  curl -s -X PUT {origin}/_sim/faults -d ''              # none
  curl -s -X PUT {origin}/_sim/providers/tiktok -d '{{"down":true}}'

THE LEDGER: every request, tokens as SHA-256
  curl -s {origin}/_sim/ledger/summary
  curl -s '{origin}/_sim/ledger?grant=tiktok-1&limit=20'
  curl -s '{origin}/_sim/grants/tiktok-1?reveal=true'
  curl -s -X DELETE {origin}/_sim/ledger
"#
    )
}
