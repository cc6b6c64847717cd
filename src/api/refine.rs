//! What the types cannot say in the OpenAPI document: which scopes there are, what policy bounds,
//! and which members go together.

use serde_json::{Map, Value, json};

use crate::engine::Hallpass;
use crate::token::{Kind, Status};

/// Narrows the schemas to what the app takes.
pub(super) fn refine(document: &mut Value, hallpass: &Hallpass) {
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
    else {
        return;
    };
    let catalog = hallpass.catalog();
    let scopes: Vec<&str> = catalog.iter().map(|declared| declared.scope().as_str()).collect();
    let presets: Vec<&str> = catalog.presets().iter().map(crate::scope::Preset::name).collect();
    for schema in ["NewToken", "Edit", "Check"] {
        items(schemas, (schema, "scopes"), &scopes);
        items(schemas, (schema, "presets"), &presets);
    }
    let policy = hallpass.policy();
    for schema in ["NewToken", "Edit", "Rotate"] {
        let seconds = [
            ("minimum", policy.min_lifetime.num_seconds()),
            ("maximum", policy.max_lifetime.num_seconds()),
        ];
        for (bound, seconds) in seconds {
            merge(schemas, (schema, "lifetime_seconds"), &json!({ bound: seconds }));
        }
        let never = policy.allow_never.then(|| json!({ "const": "never" }));
        let instant = json!({ "type": "string", "format": "date-time" });
        let forms: Vec<Value> = never.into_iter().chain([instant]).collect();
        merge(schemas, (schema, "expires_at"), &json!({ "anyOf": forms }));
        also(
            schemas,
            schema,
            &json!({ "not": { "required": ["lifetime_seconds", "expires_at"] } }),
        );
    }
    let longest = policy.max_overlap.num_seconds();
    merge(schemas, ("Rotate", "overlap_seconds"), &json!({ "maximum": longest }));
    let made_anew = json!({
        "anyOf": [{ "required": ["scopes"] }, { "required": ["presets"] }],
        "not": { "required": ["copy_of"] },
    });
    let copy = json!({ "required": ["copy_of"], "maxProperties": 2 });
    also(schemas, "NewToken", &json!({ "oneOf": [made_anew, copy] }));
    for (schema, member, words) in [
        ("Filter", "status", Status::ALL.map(Status::as_str).as_slice()),
        ("Filter", "kind", &Kind::ALL.map(Kind::as_str)),
    ] {
        items(schemas, (schema, member), words);
    }
    merge(schemas, ("Filter", "scope"), &json!({ "pattern": "^[!#-\\[\\]-~]{1,128}$" }));
    merge(schemas, ("Filter", "q"), &json!({ "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" }));
    let client = json!({ "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", "minLength": 1, "maxLength": 256 });
    merge(schemas, ("Filter", "client"), &client);
    merge(schemas, ("Filter", "family"), &json!({ "pattern": "^[0-9A-Za-z]{16}$" }));
    merge(
        schemas,
        ("Revoke", "ids"),
        &json!({ "items": { "type": "string", "pattern": "^[0-9A-Za-z]{16}$" } }),
    );
    let one = json!({ "oneOf": [{ "required": ["ids"] }, { "required": ["filter"] }] });
    also(schemas, "Revoke", &one);
    let thing = json!({ "items": { "type": "string", "minLength": 1, "maxLength": 256 } });
    merge(schemas, ("Check", "resources"), &thing);
    for_owners(schemas);
}

/// `Revoke` and `Filter` for administrators become `RevokeAny` and `FilterAny`; those for owners
/// have neither an owner nor a tenant to choose.
fn for_owners(schemas: &mut Map<String, Value>) {
    let (Some(mut revoke), Some(mut filter)) =
        (schemas.get("Revoke").cloned(), schemas.get("Filter").cloned())
    else {
        return;
    };
    if let Some(owned) = schemas.get_mut("Filter").and_then(|own| own.pointer_mut("/properties")) {
        for member in ["owner", "tenant"] {
            owned.as_object_mut().and_then(|members| members.remove(member));
        }
    }
    let label = json!({ "minLength": 1, "maxLength": 128, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f\\ufffd]+$" });
    for member in ["/properties/owner", "/properties/tenant"] {
        extend(filter.pointer_mut(member), &label);
    }
    let chosen = json!({ "anyOf": [{ "required": ["owner"] }, { "required": ["tenant"] }] });
    extend(Some(&mut filter), &json!({ "not": { "required": ["family"], "allOf": [chosen] } }));
    if let Some(place) = revoke.pointer_mut("/properties/filter") {
        *place = json!({ "$ref": "#/components/schemas/FilterAny" });
    }
    schemas.insert("RevokeAny".to_owned(), revoke);
    schemas.insert("FilterAny".to_owned(), filter);
}

/// Lists the words that the items of a member can be. Where there are none, there is no member.
fn items(schemas: &mut Map<String, Value>, (schema, member): (&str, &str), words: &[&str]) {
    if words.is_empty() {
        let members = schemas.get_mut(schema).and_then(|own| own.pointer_mut("/properties"));
        members.and_then(Value::as_object_mut).and_then(|members| members.remove(member));
        return;
    }
    merge(schemas, (schema, member), &json!({ "items": { "type": "string", "enum": words } }));
}

/// Says more of a member, if the schema has it.
fn merge(schemas: &mut Map<String, Value>, (schema, member): (&str, &str), more: &Value) {
    let own = schemas.get_mut(schema).and_then(|own| own.pointer_mut("/properties"));
    extend(own.and_then(|members| members.get_mut(member)), more);
}

/// Says more of a schema, beside what was said before.
fn also(schemas: &mut Map<String, Value>, schema: &str, more: &Value) {
    let Some(own) = schemas.get_mut(schema).and_then(Value::as_object_mut) else {
        return;
    };
    let all = own.entry("allOf").or_insert_with(|| json!([]));
    if let Some(all) = all.as_array_mut() {
        all.push(more.clone());
    }
}

fn extend(schema: Option<&mut Value>, more: &Value) {
    if let (Some(schema), Some(more)) = (schema.and_then(Value::as_object_mut), more.as_object()) {
        schema.extend(more.clone());
    }
}
