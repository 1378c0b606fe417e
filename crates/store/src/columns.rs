//! Many rows as a few parameters, for the statements that every refresh pays for.
//!
//! PostgreSQL gets one array per column: one text whatever the number of rows, so
//! that it is planned once. That goes past the query builder, whose arrays know no
//! NULL. SQLite has no arrays; it gets a list of values like everywhere else.

use std::fmt::Write as _;

use sea_orm::sqlx::postgres::PgArguments;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, Postgres};
use sea_orm::{DbErr, QueryResult, RuntimeErr, Value};
use uuid::Uuid;

use crate::StoreError;
use crate::pools::Pools;
use crate::sql::{Rows, without_nul};

/// The values of one column, one per row.
#[derive(Debug)]
pub(crate) enum Column {
    Uuid(Vec<Uuid>),
    Int(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Blob(Vec<Vec<u8>>),
    Bool(Vec<bool>),
}

/// One or more rows, column by column; all columns have the same length.
#[derive(Debug)]
pub(crate) struct Columns(pub(crate) Vec<Column>);

impl Columns {
    /// The rows that a PostgreSQL statement returns whose `VALUES {rows}` are these:
    /// one round trip, and a transaction of its own.
    pub(crate) async fn on_postgres(
        self,
        pools: &Pools,
        text: &'static str,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let text = pools
            .sql
            .lasting_text(text, || text.replace("VALUES {rows}", &self.arrays()));
        let mut query = sqlx::query(AssertSqlSafe(text));
        for column in self.0 {
            query = bind(query, column);
        }
        let mut connection = pools.kept.take(&pools.writer).await.map_err(failed)?;
        let rows = query.fetch_all(&mut *connection).await.map_err(failed)?;
        pools.kept.keep(connection);
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    /// The same rows as a list of values.
    pub(crate) fn rows(self) -> Rows {
        let width = self.0.len();
        let mut columns: Vec<_> = self.0.into_iter().map(values).collect();
        let mut values = Vec::new();
        while let Some(row) = columns
            .iter_mut()
            .map(Iterator::next)
            .collect::<Option<Vec<Value>>>()
        {
            values.extend(row);
        }
        Rows::padded_to(width, values)
    }

    fn arrays(&self) -> String {
        let mut text = String::from("SELECT * FROM UNNEST(");
        for (index, column) in self.0.iter().enumerate() {
            let kind = match column {
                Column::Uuid(_) => "uuid",
                Column::Int(_) => "bigint",
                Column::Text(_) => "text",
                Column::Blob(_) => "bytea",
                Column::Bool(_) => "boolean",
            };
            let comma = if index == 0 { "" } else { ", " };
            write!(text, "{comma}${}::{kind}[]", index + 1).expect("a string takes all text");
        }
        text + ")"
    }
}

fn bind(
    query: Query<'_, Postgres, PgArguments>,
    column: Column,
) -> Query<'_, Postgres, PgArguments> {
    match column {
        Column::Uuid(values) => query.bind(values),
        Column::Int(values) => query.bind(values),
        Column::Text(mut values) => {
            values.iter_mut().flatten().for_each(without_nul);
            query.bind(values)
        }
        Column::Blob(values) => query.bind(values),
        Column::Bool(values) => query.bind(values),
    }
}

fn values(column: Column) -> Box<dyn Iterator<Item = Value> + Send> {
    match column {
        Column::Uuid(values) => Box::new(values.into_iter().map(Value::from)),
        Column::Int(values) => Box::new(values.into_iter().map(Value::from)),
        Column::Text(values) => Box::new(values.into_iter().map(Value::from)),
        Column::Blob(values) => Box::new(values.into_iter().map(Value::from)),
        Column::Bool(values) => Box::new(values.into_iter().map(Value::from)),
    }
}

/// A fault of the driver in the words that all others have.
fn failed(cause: sqlx::Error) -> StoreError {
    StoreError::Database(DbErr::Query(RuntimeErr::SqlxError(cause.into())))
}
