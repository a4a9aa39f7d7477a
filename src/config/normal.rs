//! A component configuration as kubeadm's typed object would write it: zero values of fields that Go always
//! writes are there, empty ones of the others are not, durations are in canonical form.

use crate::cluster::GoDuration;
use crate::config::documents::Object;
use crate::config::schema::Field;
use crate::config::schema::Go;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use serde_json::Value;
use serde_json::json;

pub(crate) fn normal(object: &Object, schema: &Schema) -> Object {
    let mut out = Object::new();
    for field in schema.fields {
        if let Some(value) = field_value(object.get(field.name), field) {
            out.insert(field.name.to_owned(), value);
        }
    }
    out
}

fn field_value(given: Option<&Value>, field: &Field) -> Option<Value> {
    let value = given.map(|value| shaped(value, &field.shape));
    match (field.go, value) {
        (Go::Pointer, value) => value,
        (Go::Nullable, value) => Some(value.unwrap_or(Value::Null)),
        (Go::Keep, value) => Some(value.unwrap_or_else(|| zero(&field.shape))),
        // Go has no empty structure: `omitempty` does nothing for one.
        (Go::Omit, value) if is_structure(&field.shape) => Some(value.unwrap_or_else(|| zero(&field.shape))),
        (Go::Omit, value) => value.filter(|value| !is_empty(value)),
    }
}

fn is_structure(shape: &Shape) -> bool {
    matches!(shape, Shape::Object(_) | Shape::Duration | Shape::Interval | Shape::Quantity)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Enum(_) | Shape::Advice(_) => json!(""),
        Shape::Bool => json!(false),
        Shape::Int(..) | Shape::Float | Shape::Interval => json!(0),
        Shape::Duration => json!("0s"),
        Shape::Quantity => json!("0"),
        Shape::Object(schema) => Value::Object(normal(&Object::new(), schema)),
        Shape::Time | Shape::List(_) | Shape::TextOrTexts | Shape::Map(_) | Shape::Any => Value::Null,
    }
}

fn shaped(value: &Value, shape: &Shape) -> Value {
    match (shape, value) {
        (Shape::Duration | Shape::Interval, Value::String(text)) => {
            text.parse::<GoDuration>().map_or_else(|_| value.clone(), |duration| json!(duration.to_string()))
        }
        (Shape::Object(schema), Value::Object(object)) => Value::Object(normal(object, schema)),
        (Shape::List(inner), Value::Array(items)) => items.iter().map(|item| shaped(item, inner)).collect(),
        (Shape::Map(inner), Value::Object(map)) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), shaped(value, inner))).collect())
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::kube_proxy::KUBE_PROXY;
    use crate::config::schema::kubelet::KUBELET;

    #[test]
    fn writes_what_go_writes() {
        let given = json!({
            "syncFrequency": "90s", "maxPods": 0, "readOnlyPort": 0, "registerNode": false, "clusterDNS": [],
            "evictionHard": {}, "cpuCFSQuotaPeriod": "0s", "tracing": {}, "logging": {"flushFrequency": "5s"},
        });
        let Value::Object(out) = json!(normal(given.as_object().unwrap(), &KUBELET)) else { panic!() };
        assert_eq!(out["syncFrequency"], "1m30s");
        assert_eq!(out["registerNode"], false);
        assert_eq!(out["cpuCFSQuotaPeriod"], "0s");
        assert_eq!(out["tracing"], json!({}));
        assert_eq!(out["containerRuntimeEndpoint"], "");
        assert_eq!(out["memorySwap"], json!({}));
        assert_eq!(out["logging"]["flushFrequency"], "5s");
        assert_eq!(out["logging"]["options"]["json"], json!({"infoBufferSize": "0"}));
        for absent in
            ["maxPods", "readOnlyPort", "clusterDNS", "evictionHard", "registerWithTaints", "userNamespaces"]
        {
            assert!(!out.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn keeps_the_nulls_of_kube_proxy() {
        let out = normal(&Object::new(), &KUBE_PROXY);
        assert_eq!(out["nodePortAddresses"], Value::Null);
        assert_eq!(out["conntrack"]["maxPerCore"], Value::Null);
        assert_eq!(out["ipvs"]["strictARP"], false);
        assert!(!out.contains_key("windowsRunAsService"));
    }
}
