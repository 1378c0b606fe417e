//! `tokenfleet tenant`: customers.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use crate::args::Global;
use crate::remote::{Remote, ServerArgs};
use crate::table::Column;

const EXAMPLES: &str = "\
Examples:
  tokenfleet tenant create tenant_456 --name \"Acme\"
  tokenfleet tenant list
  tokenfleet tenant delete tenant_456 --yes";

const COLUMNS: &[Column] = &[("ID", "id"), ("NAME", "name"), ("CREATED", "created_at")];

/// What to do with tenants.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a tenant
    Create {
        /// Its id, 1 to 64 of A-Z a-z 0-9 _ - [default: made up]
        id: Option<String>,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
    },
    /// List tenants
    List {
        /// Most tenants
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one
    Show {
        /// Its id
        tenant: String,
    },
    /// Delete a tenant with all its channels
    Delete {
        /// Its id
        tenant: String,
        /// Its channels and their credentials may go
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// Works on tenants.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    match args.action {
        Action::Create { id, name } => {
            let mut body = json!({});
            for (field, value) in [("id", id), ("name", name)] {
                if let Some(value) = value {
                    body[field] = value.into();
                }
            }
            let made = server
                .call(Method::POST, &["tenants"], &[], Some(&body))
                .await?;
            server.show(&made)?;
        }
        Action::List { limit } => server.list(&["tenants"], &[], limit, COLUMNS).await?,
        Action::Show { tenant } => {
            server.show(&server.get(&["tenants", &tenant], &[]).await?)?;
        }
        Action::Delete { tenant, .. } => {
            let answer = server
                .call(Method::DELETE, &["tenants", &tenant], &[], None)
                .await?;
            server.tell(&answer, &format!("{tenant} is deleted"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
