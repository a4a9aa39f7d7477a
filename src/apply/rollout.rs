//! Whether controllers have done what an object asks of them; the error says what is left.

use serde_json::Value;

/// A `CustomResourceDefinition` whose objects can be written.
pub(super) fn is_established(definition: &Value) -> Result<(), String> {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    let conditions = || conditions.into_iter().flatten();
    if conditions().any(|one| one["type"] == "Established" && one["status"] == "True") {
        return Ok(());
    }
    let refused = conditions().find(|one| one["type"] == "NamesAccepted" && one["status"] == "False");
    match refused.and_then(|one| one["message"].as_str()) {
        Some(message) => Err(message.to_owned()),
        None => Err("the server has not taken it up yet".to_owned()),
    }
}

/// An `APIService` whose pods answer.
pub(super) fn is_available(service: &Value) -> Result<(), String> {
    let conditions = service.pointer("/status/conditions").and_then(Value::as_array);
    match conditions.into_iter().flatten().find(|one| one["type"] == "Available") {
        Some(available) if available["status"] == "True" => Ok(()),
        Some(available) => {
            let why = ["message", "reason"].iter().find_map(|field| available[field].as_str());
            Err(why.unwrap_or("it is not available").to_owned())
        }
        None => Err("the API server has not looked at it yet".to_owned()),
    }
}

/// A `DaemonSet`, a Deployment or a `StatefulSet`, as `kubectl rollout status` judges it.
pub(super) fn is_rolled_out(object: &Value) -> Result<(), String> {
    let status = &object["status"];
    let number = |name: &str| status[name].as_u64().unwrap_or(0);
    if number("observedGeneration") < object["metadata"]["generation"].as_u64().unwrap_or(0) {
        return Err("its controller has not seen it yet".to_owned());
    }
    let (wanted, updated, available) = match object["kind"].as_str() {
        Some("DaemonSet") if status["desiredNumberScheduled"].is_u64() => {
            (number("desiredNumberScheduled"), number("updatedNumberScheduled"), number("numberAvailable"))
        }
        Some("DaemonSet") => return Err("its controller has not seen it yet".to_owned()),
        _ => {
            let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
            (wanted, number("updatedReplicas"), number("availableReplicas"))
        }
    };
    // Whoever deletes pods by hand to update them is not waited for.
    let by_hand = object["spec"]["updateStrategy"]["type"] == "OnDelete";
    let old = object["kind"] == "Deployment" && number("replicas") > updated;
    if available >= wanted && (by_hand || (updated >= wanted && !old)) {
        return Ok(());
    }
    let stuck = status["conditions"].as_array().into_iter().flatten().find_map(|one| {
        (one["reason"] == "ProgressDeadlineExceeded").then(|| one["message"].as_str()).flatten()
    });
    let stuck = stuck.map(|message| format!("; {message}")).unwrap_or_default();
    Err(format!("of {wanted} pods {updated} are new and {available} available{stuck}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn judges_as_kubectl_does() {
        let daemon_set = |desired: u64, updated: u64, available: u64| {
            json!({"kind": "DaemonSet", "metadata": {"generation": 2}, "status": {"observedGeneration": 2,
                "desiredNumberScheduled": desired, "updatedNumberScheduled": updated, "numberAvailable": available}})
        };
        let deployment = |replicas: u64, updated: u64, available: u64| {
            json!({"kind": "Deployment", "spec": {"replicas": 2}, "status": {
                "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available}})
        };
        for (object, expected) in [
            (daemon_set(3, 3, 3), Ok(())),
            (daemon_set(0, 0, 0), Ok(())),
            (daemon_set(3, 2, 3), Err("of 3 pods 2 are new and 3 available")),
            (deployment(2, 2, 2), Ok(())),
            (deployment(3, 2, 2), Err("of 2 pods 2 are new and 2 available")),
            (deployment(2, 2, 1), Err("of 2 pods 2 are new and 1 available")),
            (json!({"kind": "DaemonSet"}), Err("its controller has not seen it yet")),
            (
                json!({"kind": "Deployment", "metadata": {"generation": 2}, "status": {"observedGeneration": 1}}),
                Err("its controller has not seen it yet"),
            ),
        ] {
            assert_eq!(is_rolled_out(&object), expected.map_err(str::to_owned), "{object}");
        }
    }

    #[test]
    fn a_group_of_the_api_counts_when_somebody_answers() {
        let service = |status: &str| {
            json!({"status": {"conditions": [
            {"type": "Available", "status": status, "reason": "MissingEndpoints", "message": "no endpoints"}]}})
        };
        assert_eq!(is_available(&service("True")), Ok(()));
        assert_eq!(is_available(&service("False")), Err("no endpoints".to_owned()));
        assert!(is_available(&json!({})).is_err());
    }

    #[test]
    fn a_definition_counts_when_it_is_established() {
        let definition = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status, "message": "taken"}]}});
        assert!(is_established(&definition("Established", "True")).is_ok());
        assert_eq!(is_established(&definition("NamesAccepted", "False")), Err("taken".to_owned()));
        assert!(is_established(&json!({})).is_err());
    }
}
