//! People who register, log in and are invited, as tests need them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, World, send};

pub(crate) const PASSWORD: &str = "correct horse";

/// Somebody who has logged in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl World {
    /// A request with this bearer token.
    pub(crate) async fn ask(&self, token: &str, method: Method, path: &str) -> Answer {
        send(self.anonymous(method, path).bearer_auth(token)).await
    }

    /// A request with this bearer token and a JSON body.
    pub(crate) async fn tell(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Answer {
        send(self.anonymous(method, path).bearer_auth(token).json(&body)).await
    }

    /// A `POST` of a JSON body without a token.
    pub(crate) async fn post_open(&self, path: &str, body: Value) -> Answer {
        send(self.anonymous(Method::POST, path).json(&body)).await
    }

    /// Logs in as the second seed does.
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"correo": email, "password": password});
        self.post_open("/auth/login", body).await
    }

    /// Spends a refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        let body = json!({"refresh_token": token});
        self.post_open("/api/auth/refresh", body).await
    }

    /// Somebody who registers and logs in.
    pub(crate) async fn registered(&self, email: &str) -> Person {
        let body = json!({"nombre": "Ana", "correo": email, "password": PASSWORD});
        let answer = self.post_open("/auth/register", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        self.logged_in(email).await
    }

    /// Somebody with this role in a tenant, who was invited and logs in.
    pub(crate) async fn member(&self, tenant: &str, role: &str) -> Person {
        let email = format!("{role}@{tenant}.example");
        let path = format!("/api/v1/tenants/{tenant}/users");
        let body = json!({"nombre": role, "correo": email, "role": role});
        let invited = self.post_json(&path, body).await;
        assert_eq!(invited.status, 201, "{}", invited.text);
        let token = invited.json()["invitation_token"].clone();
        let body = json!({"token": token, "password": PASSWORD});
        let accepted = self.post_open("/auth/accept-invitation", body).await;
        assert_eq!(accepted.status, 201, "{}", accepted.text);
        self.logged_in(&email).await
    }

    /// A service token with these scopes in a tenant; its id and its text.
    pub(crate) async fn service_token(&self, tenant: &str, scopes: &[&str]) -> (String, String) {
        let body = json!({"name": "bot", "days": 90, "scopes": scopes, "tenant_id": tenant});
        let made = self.post_json("/api/v1/service-tokens", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let made = made.json();
        (text(&made, "id"), text(&made, "token"))
    }

    async fn logged_in(&self, email: &str) -> Person {
        let answer = self.log_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let pair = answer.json();
        let access = text(&pair, "access_token");
        let me = self.ask(&access, Method::GET, "/api/v1/me").await.json();
        Person {
            id: text(&me, "id"),
            tenant: text(&me, "tenant_id"),
            access,
            refresh: text(&pair, "refresh_token"),
        }
    }
}

/// A text in an answer.
pub(crate) fn text(body: &Value, name: &str) -> String {
    let found = body[name].as_str();
    found
        .unwrap_or_else(|| panic!("no {name} in {body}"))
        .to_owned()
}
