//! What Facturify answers when it refuses, and the refusals that a scenario can call.

use serde_json::{Value, json};

use super::{AUTH, REFRESH};
use crate::RefreshMethod;
use crate::answer::Answer;
use crate::providers::Special;

/// The refusal that the scenario calls, if it does.
pub(super) fn refused_by(special: Option<&'static str>) -> Option<Answer> {
    let bad = |json: Value| Answer::error(400, "400", &json);
    Some(match special? {
        "refresh_51" => expired(&json!(51)),
        "refresh_51_string" => expired(&json!("51")),
        "refresh_400" => bad(json!({"code": 400, "message": "Solicitud incorrecta"})),
        "refresh_400_no_code" => bad(json!({"message": "Solicitud incorrecta"})),
        "refresh_422" => invalid(&["token"]),
        _ => return None,
    })
}

/// The token is past its end; `code` is 51 as a number or a string.
pub(super) fn expired(code: &Value) -> Answer {
    let json = json!({"code": code, "message": "El token ha expirado"});
    Answer::error(401, "51", &json)
}

/// The token is not one that lives.
pub(super) fn unauthenticated() -> Answer {
    Answer::error(401, "401", &json!({"message": "El token no es válido"}))
}

/// Key and secret are not accepted.
pub(super) fn wrong_key() -> Answer {
    Answer::error(
        401,
        "401",
        &json!({"message": "Las credenciales no son válidas"}),
    )
}

/// There is no such endpoint.
pub(super) fn not_found() -> Answer {
    Answer::error(404, "404", &json!({"message": "No encontrado"}))
}

/// The endpoint takes only the other method.
pub(super) fn wrong_method(allowed: RefreshMethod) -> Answer {
    let allowed = match allowed {
        RefreshMethod::Post => "POST",
        RefreshMethod::Get => "GET",
    };
    let json = json!({"message": "El método no está permitido"});
    Answer::error(405, "405", &json).header("allow", allowed)
}

/// These fields break the rules.
pub(super) fn invalid(fields: &[&str]) -> Answer {
    let errors: Vec<Value> = fields
        .iter()
        .map(|field| {
            let message = match *field {
                "api_key" | "api_secret" => format!("El campo {field} es obligatorio."),
                _ => format!("El campo {field} no es válido."),
            };
            json!({"field": field, "message": message, "code": 34})
        })
        .collect();
    let message = "Los datos proporcionados no cumplen las reglas de validación";
    let json = json!({"code": 33, "message": message, "errors": errors});
    Answer::error(422, "33", &json)
}

#[rustfmt::skip]
/// What only Facturify does.
pub(super) static SPECIALS: [Special; 13] = [
    Special::at(AUTH, "auth_401", "the key is refused"),
    Special::at(AUTH, "auth_422", "the key is called malformed, with errors[]"),
    Special::at(REFRESH, "get_only", "only GET refreshes; POST is 405"),
    Special::at(REFRESH, "get_only_404", "only GET refreshes; POST is 404"),
    Special::at(REFRESH, "refresh_51", "401 code 51, as for a token past its end"),
    Special::at(REFRESH, "refresh_51_string", "the same with the code as a string"),
    Special::at(REFRESH, "refresh_400", "400 with code 400"),
    Special::at(REFRESH, "refresh_400_no_code", "400 without a code"),
    Special::at(REFRESH, "refresh_422", "422 with errors[]"),
    Special::everywhere("no_jwt", "200 without jwt.token"),
    Special::everywhere("exp_disagrees", "the JWT ends after half of expires_in"),
    Special::everywhere("expires_in_minutes", "expires_in counts minutes"),
    Special::everywhere("single_token", "a new token ends the one before"),
];
