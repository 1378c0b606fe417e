//! The table of addresses: one row per method and path, with what it needs beside it.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde_json::Value;

use crate::App;
use crate::access::Right;
use crate::attempts::{self, Attempts};
use crate::gate::{self, Gate};
use crate::openapi::{self, Described, Operation};

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

/// An address, what it tells of itself, who answers it, and which calls of it count as
/// attempts to log in.
struct Row {
    address: Address,
    operation: Operation,
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
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.row(Method::GET, path, (Some(right), None), handler)
    }

    /// A row that changes something; the audit log calls it `action`.
    pub(crate) fn post<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.row(Method::POST, path, (Some(right), action), handler)
    }

    /// A row that makes or replaces something; the audit log calls it `action`.
    pub(crate) fn put<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.row(Method::PUT, path, (Some(right), action), handler)
    }

    /// A row that changes a part of something; the audit log calls it `action`.
    pub(crate) fn patch<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.row(Method::PATCH, path, (Some(right), action), handler)
    }

    /// A row that takes something away; the audit log calls it `action`.
    pub(crate) fn delete<H, T>(self, path: &str, right: Right, action: Action, handler: H) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.row(Method::DELETE, path, (Some(right), action), handler)
    }

    /// A row that anybody may call.
    pub(crate) fn open<H, T>(self, method: Method, path: &str, handler: H) -> Self
    where
        H: Handler<T, App> + Described<T>,
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

    /// Says in one sentence what the last row does.
    pub(crate) fn says(mut self, summary: &'static str) -> Self {
        self.last().says(summary);
        self
    }

    /// Says that the last row has no gate, and its handler reads the bearer token itself.
    pub(crate) fn reads_bearer(mut self) -> Self {
        self.last().reads_bearer();
        self
    }

    /// An answer of the last row that its handler hides behind `Response`: JSON.
    pub(crate) fn answers<T: JsonSchema>(mut self, status: StatusCode) -> Self {
        self.last().answers::<T>(status);
        self
    }

    /// The same, of another media type; `None` without a body.
    pub(crate) fn shows(mut self, status: StatusCode, media_type: Option<&'static str>) -> Self {
        self.last().shows(status, media_type);
        self
    }

    /// The answer of the last row is a stream of Server-Sent Events, such as this one.
    pub(crate) fn streams(mut self, example: &'static str) -> Self {
        self.last().streams(example);
        self
    }

    /// A problem of the last row beside those that its types tell of, and when it comes.
    pub(crate) fn refuses(mut self, status: StatusCode, when: &'static str) -> Self {
        self.last().refuses(status, when);
        self
    }

    fn last(&mut self) -> &mut Operation {
        let row = self.rows.last_mut();
        &mut row
            .expect("a row stands before what is said of it")
            .operation
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

    /// The rows as an `OpenAPI` document.
    pub(crate) fn document(&self) -> Value {
        openapi::document(self.rows.iter().map(|row| (&row.address, &row.operation)))
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
        H: Handler<T, App> + Described<T>,
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
            operation: Operation::of(&handler),
            handler: on(filter, handler),
            attempts: None,
        });
        self
    }
}

/// What the audit log calls a change; `None` where the handler writes its own line.
pub(crate) type Action = Option<&'static str>;
