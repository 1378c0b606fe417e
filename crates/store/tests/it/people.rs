//! People, log-ins, invitations and the audit log: what is kept, and for how long.

use std::time::Duration;

use domain::{Role, SessionUid};
use store::{
    Admission, AuditEntry, AuditFilter, NewInvitation, NewUser, PageRequest, RegisterError,
    Rotation, Spend, Store, User,
};
use testkit::{Database, TestClock};
use uuid::Uuid;

testkit::each_database!(
    admission_tells_the_first_from_the_later_ones,
    a_family_keeps_no_row_of_what_was_spent_long_ago,
    log_ins_and_invitations_are_forgotten_when_they_are_over,
    changes_are_forgotten_when_they_are_old,
);

const WEEK: Duration = Duration::from_hours(7 * 24);

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        tenant: None,
        actor: "anonymous".to_owned(),
        action,
        target: String::new(),
        address: None,
        request_id: Uuid::now_v7(),
        details: serde_json::Value::Null,
    }
}

async fn register(store: &Store, email: &str, admission: Admission) -> Result<User, RegisterError> {
    let new = NewUser {
        email: email.to_owned(),
        name: "Ana".to_owned(),
        password_hash: "hash".to_owned(),
    };
    store.register(new, admission, entry("auth.register")).await
}

async fn log_in(store: &Store, user: &User, first: [u8; 32]) -> SessionUid {
    let session = SessionUid::generate();
    let line = entry("auth.login");
    let opened = store.open_session(user.uid, (session, first), WEEK, &line);
    opened.await.unwrap();
    session
}

fn spend(session: SessionUid, spent: u8, fresh: u8) -> Spend {
    Spend {
        session,
        spent: [spent; 32],
        fresh: [fresh; 32],
        lifetime: WEEK,
        grace: Duration::from_secs(10),
    }
}

async fn admission_tells_the_first_from_the_later_ones(database: Database) {
    let store = database.store().await;

    let too_early = register(&store, "a", Admission::Later).await;
    let first = register(&store, "a", Admission::First).await;
    let too_late = register(&store, "b", Admission::First).await;
    let nobody = register(&store, "b", Admission::Nobody).await;
    let later = register(&store, "b", Admission::Later).await;
    let taken = register(&store, "a", Admission::Everybody).await;

    for refused in [too_early, too_late, nobody] {
        assert!(matches!(refused, Err(RegisterError::Closed)));
    }
    assert!(matches!(taken, Err(RegisterError::Taken)));
    assert!(first.unwrap().platform_admin);
    assert!(!later.unwrap().platform_admin);
    let tenants = store.tenants(PageRequest::default()).await.unwrap();
    assert_eq!(tenants.items.len(), 2, "a refused one leaves no tenant");
}

async fn a_family_keeps_no_row_of_what_was_spent_long_ago(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let user = register(&store, "a", Admission::First).await.unwrap();
    let session = log_in(&store, &user, [0; 32]).await;

    for number in 0..20 {
        let rotation = store.rotate(spend(session, number, number + 1)).await;
        assert!(matches!(rotation, Ok(Rotation::Rotated(_))));
        clock.advance(Duration::from_mins(15));
    }

    let replay = store.rotate(spend(session, 0, 99)).await.unwrap();
    assert!(matches!(replay, Rotation::Replayed(_)));
    let heir = store.rotate(spend(session, 20, 99)).await.unwrap();
    assert_eq!(heir, Rotation::Ended);
    assert_eq!(store.familiar(session).await.unwrap(), None);
}

async fn log_ins_and_invitations_are_forgotten_when_they_are_over(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let user = register(&store, "a", Admission::First).await.unwrap();
    let ended = log_in(&store, &user, [0; 32]).await;
    log_in(&store, &user, [1; 32]).await;
    let out = store.end_session(ended, &entry("auth.logout")).await;
    assert!(out.unwrap());
    let invitation = NewInvitation {
        tenant: user.tenant,
        email: "b".to_owned(),
        name: "Eva".to_owned(),
        role: Role::Viewer,
        digest: [2; 32],
        lifetime: Duration::from_hours(1),
    };
    let invited = store.invite(invitation, &entry("user.invite")).await;
    assert!(invited.unwrap().is_some());

    assert_eq!(store.forget_sessions(10).await.unwrap(), 0);
    assert_eq!(store.forget_invitations().await.unwrap(), 0);
    clock.advance(Duration::from_hours(25));
    assert_eq!(store.forget_sessions(10).await.unwrap(), 1);
    assert_eq!(store.forget_invitations().await.unwrap(), 1);
    clock.advance(WEEK);
    assert_eq!(store.forget_sessions(10).await.unwrap(), 1);
}

async fn changes_are_forgotten_when_they_are_old(database: Database) {
    let store = database.store().await;
    for action in ["a", "b", "c"] {
        store.audit(&entry(action)).await.unwrap();
    }
    let filter = AuditFilter::default();
    let all = || store.audit_log(&filter, PageRequest::default());
    let age = Duration::from_hours(1);

    assert_eq!(store.forget_changes(age, 10).await.unwrap(), 0);
    assert_eq!(all().await.unwrap().items.len(), 3);
    // A change is as old as its key; those of the same millisecond stay for the next time.
    let mut forgotten = 0;
    while forgotten < 3 {
        forgotten += store.forget_changes(Duration::ZERO, 2).await.unwrap();
    }

    assert_eq!(all().await.unwrap().items, []);
}
