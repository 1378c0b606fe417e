//! Tenants and channels with living credentials at the simulator, stored in bulk.

use anyhow::{Context as _, anyhow};
use domain::{ChannelState, ChannelUid, Generation, Name, ProviderName, Timestamp};
use providers::{Accepted, ImportRequest};
use serde_json::Value;
use simulator::{Minted, Running};
use store::{Channel, ChannelFilter, Facts, NewChannel, PageRequest, Store, Tenant};

use crate::local::Local;

const PREFIX: &str = "demo_";
/// Sealed and stored at a time, so that a million channels do not stand in memory.
const CHUNK: u32 = 2000;
const PAGE: u32 = 200;

/// What was made.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) tenants: Vec<Tenant>,
    pub(super) channels: Vec<Seeded>,
    /// When the last channel was stored: nothing works on them before.
    pub(super) ready_at: Timestamp,
}

/// One channel as it was made.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    pub(super) uid: ChannelUid,
    pub(super) provider: ProviderName,
    /// When it came due; `None` if there is nothing to refresh.
    pub(super) due_at: Option<Timestamp>,
}

/// The channels as they are now, in the order of [`Fleet::channels`].
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Due channels that are not refreshed yet.
    pub(super) open: usize,
    /// Among them those that only a person can help.
    pub(super) stuck: usize,
    /// Every channel that still exists.
    pub(super) channels: Vec<(Seeded, Channel)>,
}

impl Look {
    /// Whether every due channel was refreshed.
    pub(super) const fn is_complete(&self) -> bool {
        self.open == 0
    }
}

impl Seeded {
    /// Whether the credentials are fresh: storing or confirming them moves the due time.
    pub(super) fn is_fresh(&self, now: &Channel) -> bool {
        let alive = matches!(now.state, ChannelState::Active | ChannelState::NeverExpires);
        self.due_at.is_none() || alive && now.refresh_due_at != self.due_at
    }

    /// Whether waiting does not help.
    pub(super) fn needs_a_person(now: &Channel) -> bool {
        matches!(now.state, ChannelState::NeedsReauth | ChannelState::Error)
    }
}

impl Fleet {
    /// How many channels came due.
    pub(super) fn due(&self) -> usize {
        let due = |channel: &&Seeded| channel.due_at.is_some();
        self.channels.iter().filter(due).count()
    }

    /// Reads every channel.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub(super) async fn look(&self, store: &Store) -> anyhow::Result<Look> {
        let mut by_uid: std::collections::HashMap<ChannelUid, &Seeded> =
            self.channels.iter().map(|it| (it.uid, it)).collect();
        let mut look = Look::default();
        for tenant in &self.tenants {
            let mut page = PageRequest {
                after: None,
                limit: PAGE,
            };
            loop {
                let filter = ChannelFilter::default();
                let read = store.channels(tenant.uid, &filter, page.clone()).await?;
                for channel in read.items {
                    if let Some(seeded) = by_uid.remove(&channel.uid) {
                        look.add(seeded.clone(), channel);
                    }
                }
                page.after = read.next;
                if page.after.is_none() {
                    break;
                }
            }
        }
        // Somebody deleted what is left, and nobody waits for it.
        Ok(look)
    }
}

impl Look {
    fn add(&mut self, seeded: Seeded, channel: Channel) {
        if !seeded.is_fresh(&channel) {
            self.open += 1;
            self.stuck += usize::from(Seeded::needs_a_person(&channel));
        }
        self.channels.push((seeded, channel));
    }
}

/// Makes tenants and channels. Those of an earlier demo in the same database are
/// deleted first: its simulator, and so their credentials, are gone.
///
/// # Errors
///
/// If the database fails.
pub(super) async fn seed(
    local: &Local,
    simulator: &Running,
    channels: u32,
    tenants: u32,
) -> anyhow::Result<Fleet> {
    delete_earlier(&local.store).await?;
    let mut fleet = Fleet {
        tenants: make_tenants(&local.store, tenants).await?,
        channels: Vec::new(),
        ready_at: local.store.now().await?,
    };
    let now = fleet.ready_at;
    let mut made = 0;
    while made < channels {
        let count = CHUNK.min(channels - made);
        let minted = simulator.mint_fleet(count);
        let chunk = minted
            .into_iter()
            .zip(made..)
            .map(|(minted, nth)| new_channel(local, &fleet.tenants, (&minted, nth), now))
            .collect::<anyhow::Result<Vec<NewChannel>>>()?;
        fleet.channels.extend(chunk.iter().map(|channel| Seeded {
            uid: channel.uid,
            provider: channel.provider.clone(),
            due_at: channel.facts.refresh_due_at.filter(|at| *at <= now),
        }));
        for stored in local.store.import_channels(chunk).await {
            stored.context("a channel was not stored")?;
        }
        made += count;
    }
    fleet.ready_at = local.store.now().await?;
    Ok(fleet)
}

async fn delete_earlier(store: &Store) -> anyhow::Result<()> {
    let mut page = PageRequest {
        after: None,
        limit: PAGE,
    };
    loop {
        let read = store.tenants(page.clone()).await?;
        for tenant in read.items {
            if tenant.id.as_str().starts_with(PREFIX) {
                store.delete_tenant(tenant.uid).await?;
            }
        }
        page.after = read.next;
        if page.after.is_none() {
            return Ok(());
        }
    }
}

async fn make_tenants(store: &Store, count: u32) -> anyhow::Result<Vec<Tenant>> {
    let mut tenants = Vec::new();
    for number in 1..=count {
        let id: Name = format!("{PREFIX}{number:02}").parse()?;
        let name = format!("Demo {number}");
        tenants.push(store.create_tenant(Some(id), Some(name)).await?);
    }
    Ok(tenants)
}

/// The channel that an import of these credentials would make, due at once if it is due at all.
fn new_channel(
    local: &Local,
    tenants: &[Tenant],
    (minted, nth): (&Minted, u32),
    now: Timestamp,
) -> anyhow::Result<NewChannel> {
    let tenant = &tenants[nth as usize % tenants.len()];
    let provider = local
        .providers
        .resolve(minted.provider)
        .and_then(|name| local.providers.get(&name))
        .with_context(|| format!("{} is no provider of the fleet", minted.provider))?;
    let Value::Object(credentials) = minted.import_form() else {
        return Err(anyhow!("the simulator's credentials are no object"));
    };
    let accepted = provider
        .accept(&ImportRequest { credentials, now })
        .map_err(|errors| anyhow!("credentials of {} are refused: {errors:?}", minted.id))?;
    let uid = ChannelUid::generate();
    Ok(NewChannel {
        uid,
        tenant: tenant.uid,
        id: format!("channel_{:04}", nth + 1).parse()?,
        provider: provider.name().clone(),
        app_identity: provider.app_identity(&accepted.grant),
        display_name: minted.display_name.clone(),
        local_name: None,
        sealed: local.vault.seal(uid, Generation(1), &accepted.grant),
        facts: facts(accepted, now),
    })
}

fn facts(accepted: Accepted, now: Timestamp) -> Facts {
    let due = accepted.has_refresh_material && accepted.state == ChannelState::Active;
    Facts {
        state: accepted.state,
        reason: accepted.reason,
        access_expires_at: accepted.access_expires_at,
        refresh_expires_at: accepted.refresh_expires_at,
        refresh_due_at: due.then_some(now),
        external_id: accepted.external_id,
        has_refresh_material: accepted.has_refresh_material,
    }
}
