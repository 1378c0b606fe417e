//! A fleet for demos: many grants of all providers, due at once.

use std::time::Duration;

use domain::GrantKind;

use crate::world::World;
use crate::{MintError, MintRequest, Minted};

const FIRST: [&str; 16] = [
    "Café",
    "Taller",
    "Estudio",
    "Casa",
    "Mercado",
    "Librería",
    "Jardín",
    "Cocina",
    "Radio",
    "Teatro",
    "Panadería",
    "Galería",
    "Club",
    "Hotel",
    "Tienda",
    "Escuela",
];
const SECOND: [&str; 16] = [
    "Luna",
    "Norte",
    "Azul",
    "del Sol",
    "Central",
    "Verde",
    "Arcoíris",
    "del Mar",
    "Nueva",
    "Real",
    "Colibrí",
    "Alameda",
    "Aurora",
    "Sierra",
    "Clara",
    "Faro",
];

impl World {
    /// Mints `count` grants of every kind of Facebook, TikTok and Facturify.
    ///
    /// Of twenty: seven persons and two pages at Facebook, one system user, seven
    /// accounts at TikTok, three at Facturify. Every fourth system user has a token
    /// without an end. All others are due as soon as they are imported: Meta's
    /// tokens are in their last twelfth, TikTok's are past their end, Facturify
    /// has only its key.
    pub(crate) fn mint_fleet(&self, count: u32) -> Vec<Minted> {
        (0..count)
            .flat_map(|nth| {
                let minted = self.mint(&self.fleet_order(nth));
                minted.expect("every order of a fleet makes sense")
            })
            .collect()
    }

    /// Mints `count` grants of these providers in turn, due as soon as they are imported.
    ///
    /// # Errors
    ///
    /// [`MintError`] if a provider is not simulated, or there is none; nothing is minted then.
    pub(crate) fn mint_fleet_of<S: AsRef<str>>(
        &self,
        count: u32,
        providers: &[S],
    ) -> Result<Vec<Minted>, MintError> {
        if providers.is_empty() {
            let problem = "must name one at least";
            return Err(MintError::Field {
                field: "providers",
                problem,
            });
        }
        let names = providers.iter().map(AsRef::as_ref);
        if let Some(name) = names.clone().find(|name| self.provider(name).is_none()) {
            let name = name.to_owned();
            return Err(MintError::Provider { name });
        }
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let turns = names.cycle().take(wanted);
        let minted = turns.map(|name| self.mint(&self.due_order(name)));
        Ok(minted.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// The plainest grant of a provider that is due at once.
    fn due_order(&self, provider: &str) -> MintRequest {
        let order = MintRequest::of(provider);
        let last_twelfth = |lifetime: Duration| {
            let left = i64::try_from(lifetime.as_secs() / 12).unwrap_or(0);
            MintRequest::of(provider).expires_in(left)
        };
        match provider {
            "facebook" | "meta" => last_twelfth(self.lifetimes.user),
            "whatsapp" => last_twelfth(self.lifetimes.system_user),
            "instagram" => last_twelfth(self.lifetimes.instagram),
            // Their keys bring the first token.
            "facturify" | "service_token" => order,
            _ => order.expires_in(0),
        }
    }

    fn fleet_order(&self, nth: u32) -> MintRequest {
        let facebook = |kind, secs: Duration| {
            let left = i64::try_from(secs.as_secs() / 12).unwrap_or(0);
            MintRequest::of("facebook").kind(kind).expires_in(left)
        };
        match nth % 20 {
            0 | 3 | 6 | 9 | 12 | 15 | 18 => facebook(GrantKind::User, self.lifetimes.user),
            5 | 11 => facebook(GrantKind::Page, self.lifetimes.page),
            17 if nth % 80 == 77 => MintRequest::of("facebook")
                .kind(GrantKind::SystemUser)
                .never_expires(),
            17 => facebook(GrantKind::SystemUser, self.lifetimes.system_user),
            2 | 8 | 14 => MintRequest::of("facturify"),
            _ => MintRequest::of("tiktok").expires_in(0),
        }
    }

    /// What people would call the account of a grant.
    pub(crate) fn display_name(&self, number: u32) -> String {
        let luck = self.tokens.number(number, "display name");
        let pick = |words: &[&'static str; 16], bits: u64| {
            words[usize::try_from(bits % 16).expect("below 16")]
        };
        format!(
            "{} {} {number}",
            pick(&FIRST, luck),
            pick(&SECOND, luck >> 8)
        )
    }
}
