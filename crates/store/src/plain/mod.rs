//! The plain case, of which a healthy fleet has little else: a channel that nobody
//! holds is leased, and its refresh brings new credentials.
//!
//! Here one statement does it for all of them at once, and its conditions say what
//! plain is. What does not meet them is left to [`crate::flush`], which reads the
//! rows first and knows all the rules.

mod finish;
mod lease;

use sea_orm::{DbErr, RuntimeErr};

use crate::StoreError;
use crate::lane::Op;
use crate::pools::Pools;

/// Carries out and answers the plain ones of these calls, and gives the others back.
pub(crate) async fn carry_out(pools: &Pools, ops: Vec<Op>) -> Vec<Op> {
    let others = lease::carry_out(pools, ops).await;
    finish::carry_out(pools, others).await
}

/// Two such statements met on the same rows in different orders. Nothing of this one
/// was done, and reading the rows first locks them in order.
fn is_deadlock(cause: &StoreError) -> bool {
    let StoreError::Database(DbErr::Query(RuntimeErr::SqlxError(cause))) = cause else {
        return false;
    };
    let told = cause.as_database_error();
    told.is_some_and(|told| told.code().as_deref() == Some("40P01"))
}
