//! Who may do what: what each address needs, and which roles and scopes have it.

use domain::{Role, Scope};

/// What a request needs to be allowed to do. Each row of the table of addresses names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Nothing but a valid token: what concerns its holder alone.
    Oneself,
    /// The same, but for people only.
    Person,
    /// See channels, schedules, histories and figures.
    ReadChannels,
    /// Change what channels are called, pause and resume them.
    EditChannels,
    /// Import and delete channels.
    WriteChannels,
    /// Refresh and schedule channels.
    Refresh,
    /// Make links with which a person connects or repairs a channel.
    Connect,
    /// Be given valid tokens of channels.
    ReadTokens,
    /// See jobs.
    ReadJobs,
    /// Retry and cancel jobs.
    WriteJobs,
    /// Manage people, service tokens and webhooks; see the audit log.
    Manage,
    /// Use the Facturify account of the platform.
    Facturify,
    /// Make, list and delete tenants; see and do what spans them.
    Platform,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 13] = [
        Self::Oneself,
        Self::Person,
        Self::ReadChannels,
        Self::EditChannels,
        Self::WriteChannels,
        Self::Refresh,
        Self::Connect,
        Self::ReadTokens,
        Self::ReadJobs,
        Self::WriteJobs,
        Self::Manage,
        Self::Facturify,
        Self::Platform,
    ];

    /// What the right allows, as a sentence's end.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Oneself => "do this",
            Self::Person => "do what only a person with a password can",
            Self::ReadChannels => "see channels",
            Self::EditChannels => "rename, pause and resume channels",
            Self::WriteChannels => "import and delete channels",
            Self::Refresh => "refresh and schedule channels",
            Self::Connect => "make connect links",
            Self::ReadTokens => "read tokens of channels",
            Self::ReadJobs => "see jobs",
            Self::WriteJobs => "retry and cancel jobs",
            Self::Manage => "manage people, service tokens and webhooks, or see the audit log",
            Self::Facturify => "use the platform's Facturify account",
            Self::Platform => "act for the platform",
        }
    }

    /// The least role that has it in its tenant; `None`: no role, only the platform admin.
    #[must_use]
    pub const fn least_role(self) -> Option<Role> {
        match self {
            Self::Oneself | Self::Person | Self::ReadChannels | Self::ReadJobs => {
                Some(Role::Viewer)
            }
            Self::EditChannels | Self::Refresh | Self::Connect | Self::WriteJobs => {
                Some(Role::Operator)
            }
            Self::WriteChannels | Self::ReadTokens | Self::Manage => Some(Role::Owner),
            Self::Facturify | Self::Platform => None,
        }
    }

    /// Whether a person with this role has it in the tenant of that person.
    #[must_use]
    pub fn is_of(self, role: Role) -> bool {
        self.least_role().is_some_and(|least| role >= least)
    }

    /// Whether a service token with this scope has it in the tenant of that token.
    #[must_use]
    pub const fn is_in(self, scope: Scope) -> bool {
        match self {
            Self::Oneself => true,
            Self::ReadChannels => matches!(
                scope,
                Scope::ChannelsRead | Scope::ChannelsWrite | Scope::Admin
            ),
            Self::EditChannels | Self::WriteChannels | Self::Connect => {
                matches!(scope, Scope::ChannelsWrite | Scope::Admin)
            }
            Self::Refresh => matches!(scope, Scope::Refresh | Scope::Admin),
            Self::ReadTokens => matches!(scope, Scope::TokensRead | Scope::Admin),
            Self::ReadJobs => matches!(scope, Scope::JobsRead | Scope::JobsWrite | Scope::Admin),
            Self::WriteJobs => matches!(scope, Scope::JobsWrite | Scope::Admin),
            Self::Facturify => matches!(scope, Scope::Facturify),
            Self::Person | Self::Manage | Self::Platform => false,
        }
    }
}

/// What a caller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Every right in every tenant.
    Everything,
    /// Those of a role.
    Role(Role),
    /// Those of scopes.
    Scopes(Vec<Scope>),
}

impl Rights {
    /// Whether this right is among them.
    pub(crate) fn include(&self, right: Right) -> bool {
        match self {
            Self::Everything => true,
            Self::Role(role) => right.is_of(*role),
            Self::Scopes(scopes) => scopes.iter().any(|scope| right.is_in(*scope)),
        }
    }

    /// Whether they include all that this scope brings: nobody mints beyond his own rights.
    pub(crate) fn cover(&self, scope: Scope) -> bool {
        Right::ALL
            .into_iter()
            .filter(|right| right.is_in(scope))
            .all(|right| self.include(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_can_do_what_the_ones_before_it_can_and_more() {
        let of = |role| {
            Right::ALL
                .into_iter()
                .filter(move |right| right.is_of(role))
        };

        let counts = Role::ALL.map(|role| of(role).count());

        assert_eq!(counts, [4, 8, 11]);
        assert!(of(Role::Viewer).all(|right| right.is_of(Role::Operator)));
        assert!(of(Role::Operator).all(|right| right.is_of(Role::Owner)));
    }

    #[test]
    fn a_write_scope_contains_its_read_scope_and_admin_contains_all_but_facturify() {
        let of = |scope| Rights::Scopes(vec![scope]);

        assert!(of(Scope::ChannelsWrite).cover(Scope::ChannelsRead));
        assert!(of(Scope::JobsWrite).cover(Scope::JobsRead));
        assert!(!of(Scope::ChannelsRead).cover(Scope::ChannelsWrite));
        let covered = Scope::ALL.map(|scope| of(Scope::Admin).cover(scope));
        assert_eq!(covered, Scope::ALL.map(|scope| scope != Scope::Facturify));
    }

    #[test]
    fn an_owner_cannot_mint_what_only_the_platform_has() {
        let owner = Rights::Role(Role::Owner);

        assert!(owner.cover(Scope::Admin));
        assert!(!owner.cover(Scope::Facturify));
        assert!(Rights::Everything.cover(Scope::Facturify));
    }
}
