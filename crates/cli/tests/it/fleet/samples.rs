//! S3: the Python of the seed, run word for word against the built server.

use std::process::Command;

use serde_json::{Value, json};
use testkit::Database;

use super::{Server, World};
use crate::harness::Running;

testkit::each_database!(
    s3_1_s3_2_s3_4_s3_6_the_python_of_the_seed_runs_as_it_is_written,
    s3_4_a_service_token_that_is_not_valid_is_told_as_the_python_of_the_seed_expects,
);

/// Steps 1 and 2: log in with a form, and rotate by the query.
const LOG_IN_AND_ROTATE: &str = r#"
import requests

# Логин
response = requests.post(
    "https://your-api-server.com/api/auth/login",
    data={
        "username": "admin@example.com",
        "password": "password123"
    }
)

tokens = response.json()
access_token = tokens["access_token"]      # Живет 15 минут
refresh_token = tokens["refresh_token"]    # Живет 7 дней

# Когда access token истекает (каждые 15 минут)
response = requests.post(
    "https://your-api-server.com/api/auth/refresh",
    params={"refresh_token": refresh_token}
)

new_tokens = response.json()
access_token = new_tokens["access_token"]      # Новый access token
refresh_token = new_tokens["refresh_token"]    # Новый refresh token (обновляется)
"#;

/// Variant 2: access tokens from a service token.
const TOKEN_MANAGER: &str = r#"
import requests
from datetime import datetime, timedelta

class TokenManager:
    def __init__(self, api_url: str, service_token: str):
        self.api_url = api_url.rstrip("/")
        self.service_token = service_token
        self.access_token = None
        self.access_token_expires_at = None
    
    def get_access_token(self) -> str:
        """Get valid access token, refreshing if needed."""
        now = datetime.now()
        
        # Если токен отсутствует или истекает в течение 5 минут
        if (self.access_token is None or 
            self.access_token_expires_at is None or
            self.access_token_expires_at - now < timedelta(minutes=5)):
            self._refresh_access_token()
        
        return self.access_token
    
    def _refresh_access_token(self):
        """Refresh access token using service token."""
        response = requests.post(
            f"{self.api_url}/auth/service-token/refresh",
            headers={"Authorization": f"Bearer {self.service_token}"}
        )
        response.raise_for_status()
        
        data = response.json()
        self.access_token = data["access_token"]
        expires_in = data.get("expires_in", 900)  # По умолчанию 15 минут
        self.access_token_expires_at = datetime.now() + timedelta(seconds=expires_in)

# Использование
token_manager = TokenManager(
    api_url="https://your-api-server.com/api",
    service_token=os.getenv("NOCTURNA_SERVICE_TOKEN")
)

# При каждом запросе
access_token = token_manager.get_access_token()
headers = {"Authorization": f"Bearer {access_token}"}
"#;

/// "Улучшение текущего клиента": a 401 is answered by one refresh and one more try.
const AFTER_A_401: &str = r#"
# В NocturnaClient._make_request добавить обработку 401
if response.status_code == 401:
    # Попытка обновить access token через service token
    if self.service_token:
        try:
            refresh_response = requests.post(
                f"{self.api_url}/auth/service-token/refresh",
                headers={"Authorization": f"Bearer {self.service_token}"}
            )
            if refresh_response.status_code == 200:
                new_access_token = refresh_response.json()["access_token"]
                self.session.headers["Authorization"] = f"Bearer {new_access_token}"
                # Повторить запрос
                response = self.session.request(method, url, timeout=self.timeout, **kwargs)
            else:
                raise NocturnaAPIError("Service token expired or invalid")
        except Exception as e:
            raise NocturnaAPIError(f"Token refresh failed: {str(e)}")
"#;

/// Example 2: how long a token lives.
const CHECK_EXPIRY: &str = r#"
import jwt
from datetime import datetime

def check_token_expiry(token: str):
    """Check when token expires."""
    payload = jwt.decode(token, options={"verify_signature": False})
    exp_timestamp = payload.get("exp")
    if exp_timestamp:
        exp_date = datetime.fromtimestamp(exp_timestamp)
        days_left = (exp_date - datetime.now()).days
        print(f"Token expires in {days_left} days")
        return days_left
    return None
"#;

/// What stands around the seed's lines: packages that may be missing here, the client whose
/// method one of the samples is, and what is told in the end.
const BEFORE: &str = r#"
import os, sys, json
sys.path.append(os.environ["SHIMS"])
"#;

const CLIENT: &str = r#"
class NocturnaAPIError(Exception):
    pass

class NocturnaClient:
    pass

self = NocturnaClient()
self.api_url = "https://your-api-server.com/api"
self.service_token = os.getenv("NOCTURNA_SERVICE_TOKEN")
self.session = requests.Session()
self.session.headers["Authorization"] = "Bearer expired"
self.timeout = 30
method, url, kwargs = "GET", "https://your-api-server.com/api/v1/me", {}
response = self.session.request(method, url, timeout=self.timeout, **kwargs)
statuses = [response.status_code]
"#;

/// Runs Python against this server; the JSON that its last line prints.
fn python(up: &Running, service_token: &str, parts: &[&str]) -> Value {
    let script = format!("{BEFORE}{}", parts.concat());
    let script = script.replace(
        "https://your-api-server.com",
        up.url().trim_end_matches('/'),
    );
    let ran = Command::new("python3")
        .args(["-c", &script])
        .env(
            "SHIMS",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"),
        )
        .env("NOCTURNA_SERVICE_TOKEN", service_token)
        .env("PYTHONIOENCODING", "utf-8")
        .env("NO_PROXY", "*")
        .output()
        .expect("python3 is there");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&ran.stderr);
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{script}: {said} {complaint}"))
}

/// The seed's own administrator, and a service token for 90 days.
async fn service_token(server: &Server) -> String {
    let body = json!({
        "name": "Admin", "email": "admin@example.com", "password": "password123",
    });
    server
        .unheard()
        .post_json("/auth/register", &body)
        .await
        .of(201);
    let body = json!({"name": "bot", "days": 90, "scopes": ["channels:read"], "tenant_id": "acme"});
    let made = server
        .unheard()
        .post_json("/api/v1/service-tokens", &body)
        .await;
    made.of(201)["token"].as_str().expect("a token").to_owned()
}

async fn s3_1_s3_2_s3_4_s3_6_the_python_of_the_seed_runs_as_it_is_written(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let token = service_token(&server).await;

    let pair = python(
        &up,
        &token,
        &[
            LOG_IN_AND_ROTATE,
            "\nme = requests.request('GET', 'https://your-api-server.com/api/v1/me', \
             headers={'Authorization': f'Bearer {access_token}'}).json()",
            "\nprint(json.dumps([me['correo'], tokens['expires_in'], \
             refresh_token != tokens['refresh_token']]))",
        ],
    );
    let managed = python(
        &up,
        &token,
        &[
            TOKEN_MANAGER,
            "\nagain = token_manager.get_access_token()",
            "\nme = requests.request('GET', 'https://your-api-server.com/api/v1/me', headers=headers)",
            "\nprint(json.dumps([me.status_code, again == access_token]))",
        ],
    );
    let replayed = python(
        &up,
        &token,
        &[
            "import requests\n",
            CLIENT,
            AFTER_A_401,
            "\nprint(json.dumps(statuses + [response.status_code]))",
        ],
    );
    let expiry = python(
        &up,
        &token,
        &[
            CHECK_EXPIRY,
            "\nprint(json.dumps(check_token_expiry(os.getenv('NOCTURNA_SERVICE_TOKEN'))))",
        ],
    );

    assert_eq!(pair, json!(["admin@example.com", 900, true]));
    assert_eq!(managed, json!([200, true]));
    assert_eq!(replayed, json!([401, 200]));
    assert_eq!(expiry, json!(89));
    up.stop();
}

async fn s3_4_a_service_token_that_is_not_valid_is_told_as_the_python_of_the_seed_expects(
    database: Database,
) {
    let world = World::on(database).await;
    let (up, _) = world.up().await;
    let told = [
        "import requests\n",
        CLIENT,
        "\ntry:\n",
        &indented(AFTER_A_401),
        "    print(json.dumps(None))\nexcept NocturnaAPIError as error:\n    \
         print(json.dumps(str(error)))",
    ];

    let told = python(&up, "guessed", &told);

    let expected = "Token refresh failed: Service token expired or invalid";
    assert_eq!(told, json!(expected));
    up.stop();
}

fn indented(code: &str) -> String {
    let lines = code.lines().map(|line| format!("    {line}\n"));
    lines.collect()
}
