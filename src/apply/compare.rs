//! Whether a live object already is what is wanted.
//!
//! A server adds defaults and status, so the wanted object must be a part of the live one. What was wanted once and
//! is no longer mentioned is not noticed in maps; lists are compared as a whole.

use serde_json::Map;
use serde_json::Value;

/// Maps whose keys have a meaning even when their value is empty.
const OPEN_MAPS: [&str; 7] =
    ["labels", "annotations", "data", "binaryData", "stringData", "matchLabels", "nodeSelector"];

/// Whether all of `wanted` is in `live`.
pub fn is_part(wanted: &Value, live: &Value) -> bool {
    part(wanted, Some(live))
}

fn part(wanted: &Value, live: Option<&Value>) -> bool {
    match (wanted, live) {
        (wanted, None) => is_empty(wanted),
        (Value::Object(wanted), Some(Value::Object(live))) => wanted.iter().all(|(key, value)| {
            let open = OPEN_MAPS.contains(&key.as_str());
            part(value, live.get(key)) && (!open || entries_there(value, live.get(key)))
        }),
        (Value::Array(wanted), Some(Value::Array(live))) => {
            wanted.len() == live.len() && wanted.iter().zip(live).all(|(want, have)| part(want, Some(have)))
        }
        (wanted, Some(live)) => wanted == live || (is_empty(wanted) && is_empty(live)),
    }
}

fn entries_there(wanted: &Value, live: Option<&Value>) -> bool {
    wanted
        .as_object()
        .is_none_or(|wanted| wanted.keys().all(|key| live.is_some_and(|live| live.get(key).is_some())))
}

/// What Go leaves out when it writes JSON with `omitempty`, except numbers and booleans: those may be pointers, to
/// which "not there" means something else.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The live object cut down to what the wanted one speaks of, so that the two can be shown side by side.
pub fn cut_to(wanted: &Value, live: &Value) -> Value {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let both =
                wanted.iter().filter_map(|(key, value)| Some((key.clone(), cut_to(value, live.get(key)?))));
            Value::Object(both.collect::<Map<_, _>>())
        }
        (Value::Array(wanted), Value::Array(live)) => {
            let cut = |(index, have): (usize, &Value)| {
                wanted.get(index).map_or_else(|| have.clone(), |want| cut_to(want, have))
            };
            Value::Array(live.iter().enumerate().map(cut).collect())
        }
        (_, live) => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_is_a_part() {
        let live = json!({
            "metadata": {"name": "x", "uid": "1", "labels": {"a": "b", "empty": ""}},
            "spec": {"replicas": 2, "list": [{"name": "c", "port": 80, "protocol": "TCP"}]},
        });
        for (wanted, expected) in [
            (json!({}), true),
            (json!({"metadata": {"name": "x", "labels": {"a": "b"}}}), true),
            (json!({"metadata": {"labels": {"empty": ""}}}), true),
            (json!({"metadata": {"labels": {"other": ""}}}), false),
            (json!({"metadata": {"annotations": {"other": ""}}}), false),
            (json!({"metadata": {"annotations": {}, "creationTimestamp": null}}), true),
            (json!({"spec": {"list": [{"name": "c", "port": 80}]}}), true),
            (json!({"spec": {"list": [{"name": "c"}, {"name": "d"}]}}), false),
            (json!({"spec": {"list": []}}), false),
            (json!({"spec": {"replicas": 3}}), false),
            (json!({"spec": {"hostNetwork": false}}), false),
            (json!({"spec": {"group": "", "resources": {}}}), true),
        ] {
            assert_eq!(is_part(&wanted, &live), expected, "{wanted}");
        }
    }

    #[test]
    fn cuts_to_what_is_spoken_of() {
        let live = json!({"a": 1, "b": {"c": 2, "d": 3}, "l": [{"x": 1, "y": 2}, {"z": 3}]});
        let wanted = json!({"b": {"c": 5, "e": 6}, "l": [{"x": 7}]});
        assert_eq!(cut_to(&wanted, &live), json!({"b": {"c": 2}, "l": [{"x": 1}, {"z": 3}]}));
    }
}
