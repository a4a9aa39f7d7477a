//! Charts of the operator: how helm is called, and what of the result is installed.

use crate::cluster::addon::Chart;
use crate::kube::objects::build::plain_namespace;
use crate::kube::objects::foreign;
use crate::kube::objects::foreign::DEFAULT_NAMESPACE;
use crate::plan::Object;
use serde_json::Value;

/// Namespaces that every cluster has.
const OF_CLUSTER: [&str; 4] = [DEFAULT_NAMESPACE, "kube-node-lease", "kube-public", "kube-system"];
/// When helm would write an object.
const HOOK: &str = "helm.sh/hook";
/// The moments that have a counterpart here.
const HOOKS: [&str; 5] = ["crd-install", "pre-install", "post-install", "pre-upgrade", "post-upgrade"];

/// How the chart is rendered; the values of the file are on standard input.
pub fn helm_arguments(name: &str, chart: &Chart, version: &str) -> Vec<String> {
    let mut arguments = vec!["template", name, &chart.chart];
    if let Some(repository) = &chart.repository {
        arguments.extend(["--repo", repository]);
    }
    if let Some(version) = &chart.version {
        arguments.extend(["--version", version]);
    }
    arguments.extend([
        "--namespace",
        &chart.namespace,
        "--kube-version",
        version,
        "--include-crds",
        "--skip-tests",
    ]);
    if let Some(file) = &chart.values_file {
        arguments.extend(["--values", file]);
    }
    // What comes last is over the rest.
    arguments.extend(["--values", "-"]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// The objects of a rendered chart, with the namespace that helm would make. What is for tests and for the time when the
/// release goes is left out.
pub fn objects(chart: &Chart) -> Vec<Object> {
    let rendered: Vec<Value> = chart.rendered.iter().filter(|object| is_installed(object)).cloned().collect();
    let placed = foreign::placed(&rendered, &chart.namespace, None);
    let is_own = |one: &Value| one["kind"] == "Namespace" && one["metadata"]["name"] == chart.namespace;
    let lacks_it = !OF_CLUSTER.contains(&chart.namespace.as_str()) && !rendered.iter().any(is_own);
    let namespace = lacks_it.then(|| plain_namespace(&chart.namespace));
    namespace.into_iter().chain(placed.into_iter().map(Object::plain)).collect()
}

fn is_installed(object: &Value) -> bool {
    let hook = object["metadata"]["annotations"][HOOK].as_str();
    hook.is_none_or(|hook| hook.split(',').any(|moment| HOOKS.contains(&moment.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ObjectRef;
    use serde_json::Map;
    use serde_json::json;

    fn chart(namespace: &str) -> Chart {
        let hook = |name: &str, hook: &str| {
            json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "annotations": {HOOK: hook}}})
        };
        Chart {
            chart: "./c".to_owned(),
            repository: None,
            version: None,
            namespace: namespace.to_owned(),
            values_file: Some("more.yaml".to_owned()),
            values: Map::new(),
            rendered: vec![
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
                hook("t", "test"),
                hook("d", "pre-delete"),
                hook("i", "post-install,post-upgrade"),
            ],
        }
    }

    #[test]
    fn what_helm_would_install_comes() {
        let names = |namespace: &str| -> Vec<String> {
            objects(&chart(namespace)).iter().map(|object| ObjectRef::of(&object.value).to_string()).collect()
        };
        assert_eq!(names("apps"), ["Namespace apps", "ConfigMap apps/c", "Pod apps/i"]);
        assert_eq!(names("kube-system"), ["ConfigMap kube-system/c", "Pod kube-system/i"]);
    }

    #[test]
    fn the_file_of_values_comes_before_the_values_of_the_configuration() {
        let far = Chart {
            repository: Some("https://r".to_owned()),
            version: Some("1.2.3".to_owned()),
            ..chart("n")
        };
        assert_eq!(
            helm_arguments("a", &far, "v1.36.2").join(" "),
            "template a ./c --repo https://r --version 1.2.3 --namespace n --kube-version v1.36.2 --include-crds --skip-tests \
             --values more.yaml --values -"
        );
    }
}
