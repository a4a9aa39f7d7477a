//! Strategic merge, Kubernetes' own kind of patch.
//!
//! Lists merge by a key where the type says so, and a patch may give directives: `$patch` (replace,
//! delete), `$retainKeys`, `$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>`.

use crate::kube::patch::schema::Field;
use crate::kube::patch::schema::PLAIN;
use crate::kube::patch::schema::Schema;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeSet;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

type Result<T> = std::result::Result<T, String>;
type Mapping = Map<String, Value>;

/// The document with the patch merged into it.
pub(super) fn merge(document: Value, patch: &Value, schema: &Schema) -> Result<Value> {
    match (document, patch) {
        (Value::Object(document), Value::Object(patch)) => {
            merge_mapping(document, patch, schema).map(Value::Object)
        }
        _ => Err("a strategic merge patch must be a mapping".to_owned()),
    }
}

fn merge_mapping(mut document: Mapping, patch: &Mapping, schema: &Schema) -> Result<Mapping> {
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
        None => {}
        Some("replace") => return Ok(cleaned_mapping(patch)),
        Some("delete") => return Ok(Mapping::new()),
        Some(other) => return Err(unknown_directive(other)),
    }
    retain_keys(&mut document, patch)?;
    for name in touched_fields(patch) {
        let old = document.remove(name);
        let list = ListPatch::of(patch, name);
        let new = match (patch.get(name), schema.field(name)) {
            (Some(Value::Null), _) => None,
            (Some(Value::Array(items)), Some(field @ (Field::Keyed(..) | Field::Set))) => {
                Some(Value::Array(list.merge(old, items, field)?))
            }
            (Some(Value::Object(new)), field) => Some(Value::Object(match old {
                Some(Value::Object(old)) => merge_mapping(old, new, inner(field))?,
                _ => merge_mapping(Mapping::new(), new, inner(field))?,
            })),
            (Some(new), _) => Some(cleaned(new)),
            (None, field) => match old {
                Some(Value::Array(_)) => {
                    Some(Value::Array(list.merge(old, &[], field.unwrap_or(&Field::Set))?))
                }
                other => other,
            },
        };
        document.extend(new.map(|value| (name.to_owned(), value)));
    }
    Ok(document)
}

fn inner(field: Option<&'static Field>) -> &'static Schema {
    match field {
        Some(Field::Mapping(schema)) => schema,
        _ => &PLAIN,
    }
}

/// Every field that the patch has something to say on, be it by a directive alone.
fn touched_fields(patch: &Mapping) -> BTreeSet<&str> {
    let field = |key: &'_ str| -> usize {
        [DELETE_FROM, ELEMENT_ORDER]
            .into_iter()
            .find(|directive| key.starts_with(directive))
            .map_or(0, str::len)
    };
    patch.keys().map(|key| &key[field(key)..]).filter(|name| !name.starts_with('$')).collect()
}

/// `$retainKeys` lists all the keys that may stay.
fn retain_keys(document: &mut Mapping, patch: &Mapping) -> Result<()> {
    let Some(keys) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let keys: Vec<&str> = keys.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let stray = patch
        .iter()
        .find(|(key, value)| !key.starts_with('$') && !value.is_null() && !keys.contains(&key.as_str()));
    if let Some((key, _)) = stray {
        return Err(format!("{RETAIN_KEYS} does not list {key}, which the patch sets"));
    }
    document.retain(|key, _| keys.contains(&key.as_str()));
    Ok(())
}

/// What the directives of a patch say on one list.
struct ListPatch<'a> {
    delete: &'a [Value],
    order: Option<&'a [Value]>,
}

impl<'a> ListPatch<'a> {
    fn of(patch: &'a Mapping, name: &str) -> Self {
        let list = |directive| patch.get(&format!("{directive}{name}")).and_then(Value::as_array);
        Self {
            delete: list(DELETE_FROM).map_or(&[], Vec::as_slice),
            order: list(ELEMENT_ORDER).map(Vec::as_slice),
        }
    }

    fn merge(&self, old: Option<Value>, items: &[Value], field: &Field) -> Result<Vec<Value>> {
        let mut original = match old {
            Some(Value::Array(original)) => original,
            _ => Vec::new(),
        };
        original.retain(|value| !self.delete.contains(value));
        let server_order = original.clone();
        let (merged, key) = match field {
            Field::Keyed(key, schema) => match merge_keyed(original, items, key, schema)? {
                Merged::Replaced(list) => return Ok(list),
                Merged::Into(list) => (list, Some(*key)),
            },
            Field::Set | Field::Mapping(_) => (merge_set(original, items), None),
        };
        let wanted = match self.order {
            Some(order) => {
                let places = items
                    .iter()
                    .filter(|item| item.get(PATCH).is_none())
                    .map(|item| ids(order, key).iter().position(|id| *id == identity(item, key)));
                let places: Vec<Option<usize>> = places.collect();
                if places.contains(&None) || !places.is_sorted() {
                    return Err(format!(
                        "{ELEMENT_ORDER} must list all that the patch sets, in the patch's order"
                    ));
                }
                order
            }
            None => items,
        };
        Ok(ordered(merged, wanted, &server_order, key))
    }
}

enum Merged {
    /// The patch said `$patch: replace`, so nothing of the old list is left.
    Replaced(Vec<Value>),
    Into(Vec<Value>),
}

fn merge_keyed(mut list: Vec<Value>, items: &[Value], key: &str, schema: &Schema) -> Result<Merged> {
    let mut replaces = false;
    let mut additions = Vec::new();
    for item in items {
        let Value::Object(fields) = item else {
            return Err(format!("an item of a list that merges by {key} must be a mapping"));
        };
        match fields.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
            Some("replace") => replaces = true,
            Some("delete") if fields.contains_key(key) => list.retain(|old| old.get(key) != fields.get(key)),
            None | Some("delete") if !fields.contains_key(key) => {
                return Err(format!("an item lacks {key}, by which its list merges"));
            }
            None => additions.push(fields),
            Some(other) => return Err(unknown_directive(other)),
        }
    }
    if replaces {
        return Ok(Merged::Replaced(
            additions.into_iter().map(|item| Value::Object(cleaned_mapping(item))).collect(),
        ));
    }
    for addition in additions {
        match list.iter_mut().find(|old| old.get(key) == addition.get(key)) {
            Some(Value::Object(old)) => *old = merge_mapping(std::mem::take(old), addition, schema)?,
            _ => list.push(Value::Object(merge_mapping(Mapping::new(), addition, schema)?)),
        }
    }
    Ok(Merged::Into(list))
}

fn merge_set(mut list: Vec<Value>, items: &[Value]) -> Vec<Value> {
    for item in items {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
    list
}

/// What tells items of a list apart: the merge key's value, or the whole value.
fn identity<'a>(item: &'a Value, key: Option<&str>) -> &'a Value {
    key.map_or(item, |key| item.get(key).unwrap_or(&Value::Null))
}

fn ids<'a>(items: &'a [Value], key: Option<&str>) -> Vec<&'a Value> {
    items.iter().map(|item| identity(item, key)).collect()
}

/// Items that the patch names take its order; the others keep theirs. Where the two meet, the old list decides,
/// and where it knows nothing, items that the patch names come first.
fn ordered(merged: Vec<Value>, wanted: &[Value], server: &[Value], key: Option<&str>) -> Vec<Value> {
    let wanted = ids(wanted, key);
    let server = ids(server, key);
    let place = |order: &[&Value], item: &Value| order.iter().position(|id| *id == identity(item, key));
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(&wanted, item).is_some());
    named.sort_by_key(|item| place(&wanted, item));
    others.sort_by_key(|item| place(&server, item));
    let mut result = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(left), Some(right)) = (named.peek(), others.peek()) {
        let other_first = match (place(&server, left), place(&server, right)) {
            (Some(named), Some(other)) => other < named,
            _ => false,
        };
        result.extend(if other_first { others.next() } else { named.next() });
    }
    result.extend(named);
    result.extend(others);
    result
}

/// A value that is new to the document: without the nulls and directives that only mean something to a merge.
fn cleaned(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(cleaned_mapping(fields)),
        Value::Array(items) => {
            Value::Array(items.iter().filter(|item| item.get(PATCH).is_none()).map(cleaned).collect())
        }
        scalar => scalar.clone(),
    }
}

fn cleaned_mapping(fields: &Mapping) -> Mapping {
    let kept = fields.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    kept.map(|(key, value)| (key.clone(), cleaned(value))).collect()
}

fn unknown_directive(directive: &str) -> String {
    format!("{PATCH}: {directive} is not known here; use replace or delete")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::patch::schema::DEPLOYMENT;
    use crate::kube::patch::schema::POD;
    use serde_json::json;

    fn containers(list: &Value) -> Value {
        json!({"spec": {"containers": list}})
    }

    #[test]
    fn mappings_merge_and_null_removes() {
        for (document, patch, expected) in [
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": null, "z": 3}}),
                json!({"a": {"y": 2, "z": 3}}),
            ),
            (json!({"a": 1}), json!({"b": {"c": null, "d": 1}}), json!({"a": 1, "b": {"d": 1}})),
            (json!({"a": {"x": 1}}), json!({"a": {"$patch": "replace", "y": 2}}), json!({"a": {"y": 2}})),
            (json!({"a": {"x": 1}}), json!({"a": {"$patch": "delete"}}), json!({"a": {}})),
            (json!({"a": {"x": 1, "y": 2}}), json!({"a": {"$retainKeys": ["x"]}}), json!({"a": {"x": 1}})),
            (json!({"a": {"x": 1}}), json!({"a": "text"}), json!({"a": "text"})),
            (json!({"tolerations": [1, 2]}), json!({"tolerations": [3]}), json!({"tolerations": [3]})),
            (json!({"l": [1, 2, 3]}), json!({"$deleteFromPrimitiveList/l": [2]}), json!({"l": [1, 3]})),
        ] {
            assert_eq!(merge(document, &patch, &POD).unwrap(), expected, "{patch}");
        }
    }

    #[test]
    fn keyed_lists_merge_by_their_key() {
        let a = json!({"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]});
        let b = json!({"name": "b"});
        for (patch, expected) in [
            (
                json!([{"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}]}]),
                json!([
                    {"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]},
                    b,
                ]),
            ),
            (json!([{"name": "c"}]), json!([{"name": "c"}, a, b])),
            (json!([{"$patch": "delete", "name": "a"}]), json!([b])),
            (json!([{"$patch": "replace"}, {"name": "c"}]), json!([{"name": "c"}])),
            (json!([{"name": "a", "env": null}]), json!([{"name": "a", "image": "1"}, b])),
            (
                json!([{"name": "a", "$patch": "delete"}, {"name": "c", "env": [{"name": "Z", "value": null}]}]),
                json!([{"name": "c", "env": [{"name": "Z"}]}, b]),
            ),
        ] {
            let merged = merge(containers(&json!([a, b])), &containers(&patch), &POD).unwrap();
            assert_eq!(merged, containers(&expected), "{patch}");
        }
    }

    #[test]
    fn a_deployment_merges_as_its_pods_do() {
        let document = json!({"spec": {"template": {"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}}}});
        let patch = json!({"spec": {"replicas": 3, "template": {"spec": {"volumes": [
            {"name": "a", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}},
        ]}}}});
        let expected = json!({"spec": {"replicas": 3, "template": {"spec": {"volumes": [
            {"name": "a", "hostPath": {"path": "/x"}},
        ]}}}});
        assert_eq!(merge(document, &patch, &DEPLOYMENT).unwrap(), expected);
    }

    #[test]
    fn order_is_the_patchs_where_it_says_so() {
        let list = |names: &str| -> Value {
            names.split_whitespace().map(|name| json!({"name": name})).collect::<Vec<_>>().into()
        };
        for (server, patch, order, expected) in [
            ("a b c", "b", None, "a b c"),
            ("a b", "c b", None, "c a b"),
            ("a", "x", None, "x a"),
            ("a b c", "", Some("c a"), "b c a"),
            ("a b", "c", Some("c b a"), "c b a"),
        ] {
            let mut changes = json!({"spec": {"containers": list(patch)}});
            if let Some(order) = order {
                changes["spec"]["$setElementOrder/containers"] = list(order);
            }
            let merged = merge(containers(&list(server)), &changes, &POD).unwrap();
            assert_eq!(merged, containers(&list(expected)), "{server} + {patch} in {order:?}");
        }
        let merged = merge(
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            &json!({"metadata": {"finalizers": ["c", "a"], "$setElementOrder/finalizers": ["c", "a", "b"]}}),
            &POD,
        );
        assert_eq!(merged.unwrap(), json!({"metadata": {"finalizers": ["c", "a", "b"]}}));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (patch, why) in [
            (json!([]), "must be a mapping"),
            (json!({"$patch": "shuffle"}), "shuffle"),
            (json!({"spec": {"containers": [{"name": "a", "$patch": "merge"}]}}), "merge"),
            (json!({"spec": {"containers": [{"$patch": "delete"}]}}), "lacks name"),
            (json!({"spec": {"containers": ["text"]}}), "must be a mapping"),
            (json!({"spec": {"$retainKeys": ["a"], "b": 1}}), "does not list b"),
            (
                json!({"spec": {"containers": [{"name": "a"}], "$setElementOrder/containers": [{"name": "b"}]}}),
                "must list all",
            ),
        ] {
            let error = merge(json!({}), &patch, &POD).unwrap_err();
            assert!(error.contains(why), "{error} lacks {why}");
        }
    }
}
