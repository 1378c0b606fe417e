//! The table of addresses: one row per method and path, with what it needs beside it.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::App;
use crate::access::Right;
use crate::attempts::{self, Attempts};
use crate::gate::{self, Gate};

/// One address as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How it is called.
    pub method: Method,
    /// Where, with parameters in braces: `/api/v1/tenants/{tenant}`.
    pub path: String,
    /// What its caller needs; `None`: nothing, not even a token.
    pub right: Option<Right>,
    /// What the audit log calls a call that succeeded, such as `channel.import`;
    /// `None` if it changes nothing, or writes its own line.
    pub action: Option<&'static str>,
}

/// An address, who answers it, and which calls of it count as attempts to log in.
struct Row {
    address: Address,
    handler: MethodRouter<App>,
    attempts: Option<Attempts>,
}

/// Addresses with those who answer them.
#[derive(Default)]
pub(crate) struct Table {
    prefix: &'static str,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table, whose paths follow this prefix.
    pub(crate) const fn under(prefix: &'static str) -> Self {
        Self {
            prefix,
            rows: Vec::new(),
        }
    }

    /// A row that reads.
    pub(crate) fn get<H, T>(self, path: &str, right: Right, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.row(Method::GET, path, (Some(right), None), handler)
    }

    /// A row that changes something; the audit log calls it `action`.
    pub(crate) fn post<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.row(Method::POST, path, (Some(right), action), handler)
    }

    /// A row that makes or replaces something; the audit log calls it `action`.
    pub(crate) fn put<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.row(Method::PUT, path, (Some(right), action), handler)
    }

    /// A row that changes a part of something; the audit log calls it `action`.
    pub(crate) fn patch<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.row(Method::PATCH, path, (Some(right), action), handler)
    }

    /// A row that takes something away; the audit log calls it `action`.
    pub(crate) fn delete<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.row(Method::DELETE, path, (Some(right), action), handler)
    }

    /// A row that anybody may call.
    pub(crate) fn open<H, T>(self, method: Method, path: &str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.row(method, path, (None, None), handler)
    }

    /// The row before takes passwords, or what is as good: its calls are limited strictly.
    pub(crate) fn strictly(self) -> Self {
        self.counting(Attempts::All)
    }

    /// The row before renews tokens: its failed calls are limited strictly.
    pub(crate) fn strictly_if_failed(self) -> Self {
        self.counting(Attempts::Failed)
    }

    fn counting(mut self, attempts: Attempts) -> Self {
        if let Some(row) = self.rows.last_mut() {
            row.attempts = Some(attempts);
        }
        self
    }

    /// This table and then another.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self
    }

    /// What the rows say, in their order.
    pub(crate) fn addresses(self) -> impl Iterator<Item = Address> {
        self.rows.into_iter().map(|row| row.address)
    }

    /// The rows as a router, each behind its gate.
    pub(crate) fn into_router(self, app: &App) -> Router<App> {
        let add = |router: Router<App>, row: Row| {
            let (mut handler, address) = (row.handler, row.address);
            if let Some(right) = address.right {
                let gate = Gate::new(app.clone(), right, address.action);
                handler = handler.route_layer(from_fn_with_state(gate, gate::admit));
            }
            if let Some(counted) = row.attempts {
                let limit = from_fn_with_state((app.clone(), counted), attempts::limit);
                handler = handler.route_layer(limit);
            }
            router.route(&address.path, handler)
        };
        self.rows.into_iter().fold(Router::new(), add)
    }

    fn row<H, T>(
        mut self,
        method: Method,
        path: &str,
        (right, action): (Option<Right>, Action),
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a method that axum knows");
        let address = Address {
            method,
            path: format!("{}{path}", self.prefix),
            right,
            action,
        };
        self.rows.push(Row {
            address,
            handler: on(filter, handler),
            attempts: None,
        });
        self
    }
}

/// What the audit log calls a change; `None` where the handler writes its own line.
pub(crate) type Action = Option<&'static str>;
