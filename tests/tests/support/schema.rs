//! The JSON Schemas of `docs/schemas/`, as a validator of JSON Schemas takes them.

use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

/// The schema of this name.
pub(crate) fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/schemas/{name}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Validates by this schema, formats included.
pub(crate) fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

/// The same schema where members that it does not describe are refused.
pub(crate) fn closed(mut schema: Value) -> Value {
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.contains_key("properties") {
        members.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    for (keyword, inner) in members {
        match keyword.as_str() {
            "items" => close(inner),
            "properties" | "$defs" => inner.as_object_mut().into_iter().flatten().for_each(|(_, inner)| close(inner)),
            _ => {}
        }
    }
}

/// What is wrong with it, one line each.
pub(crate) fn mistakes_of(validator: &Validator, instance: &Value) -> Vec<String> {
    validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect()
}
