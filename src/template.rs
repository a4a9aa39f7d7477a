//! Embedded templates of files that belong to other programs.
//!
//! Each lies under `templates/` at the path that names it here. A template that asks for a variable which it was
//! not given is an error, and nothing is escaped: what comes out is configuration, not HTML.

use serde::Serialize;
use std::error::Error as _;
use tera::Context;
use tera::ErrorKind;
use tera::Tera;

/// A name and the text of the template that it names.
macro_rules! embedded {
    ($name:literal) => {
        ($name, include_str!(concat!("../templates/", $name, ".tera")))
    };
}

/// Every template.
const TEMPLATES: &[(&str, &str)] = &[
    embedded!("addons/coredns/Corefile"),
    embedded!("addons/kube-proxy/kubeconfig.conf"),
    embedded!("addons/local-path/setup"),
    embedded!("addons/local-path/teardown"),
    embedded!("addons/node-local-dns/Corefile"),
    embedded!("etc/NetworkManager/conf.d/kubewright.conf"),
    embedded!("etc/crictl.yaml"),
    embedded!("etc/crio/crio.conf.d/10-kubewright.conf"),
    embedded!("etc/firewalld/policies/kubewright-pods.xml"),
    embedded!("etc/firewalld/policies/kubewright.xml"),
    embedded!("etc/haproxy/haproxy.cfg"),
    embedded!("etc/keepalived/check-endpoint.sh"),
    embedded!("etc/keepalived/keepalived.conf"),
    embedded!("etc/modules-load.d/kubewright.conf"),
    embedded!("etc/sysctl.d/99-kubewright.conf"),
    embedded!("etc/systemd/system/containerd.service"),
    embedded!("etc/systemd/system/containerd.service.d/http-proxy.conf"),
    embedded!("etc/systemd/system/cri-docker.service"),
    embedded!("etc/systemd/system/cri-docker.socket"),
    embedded!("etc/systemd/system/crio.service"),
    embedded!("etc/systemd/system/haproxy.service.d/kubewright.conf"),
    embedded!("etc/systemd/system/keepalived.service.d/kubewright.conf"),
    embedded!("etc/systemd/system/kubelet.service"),
    embedded!("etc/systemd/system/kubelet.service.d/10-kubeadm.conf"),
    embedded!("etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf"),
    embedded!("etc/systemd/system/kubewright-pods.service"),
    embedded!("usr/local/share/kubewright/pod-network"),
];

/// A template that cannot be rendered: a mistake in the program, not in the operator's input.
#[derive(Debug, thiserror::Error)]
#[error("template templates/{template}.tera{}: {why}", .line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct TemplateError {
    pub template: String,
    /// Counted from one, where the place is known.
    pub line: Option<usize>,
    pub why: String,
}

/// Renders the template of this name (its path without `.tera`) with the fields of `values`.
pub fn render(name: &str, values: &impl Serialize) -> Result<String, TemplateError> {
    match TEMPLATES.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => render_text(name, text, values),
        None => Err(error(name, None, "there is no such template".to_owned())),
    }
}

fn render_text(name: &str, text: &str, values: &impl Serialize) -> Result<String, TemplateError> {
    let failed = |cause: tera::Error| explained(name, &cause);
    let context = Context::from_serialize(values).map_err(failed)?;
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    tera.add_raw_template(name, text).map_err(failed)?;
    tera.render(name, &context).map_err(failed)
}

fn explained(name: &str, cause: &tera::Error) -> TemplateError {
    match cause.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            error(name, Some(report.span().start_line), report.message().to_owned())
        }
        other => {
            let below = cause.source().map(|source| format!(": {source}")).unwrap_or_default();
            error(name, None, format!("{other}{below}"))
        }
    }
}

fn error(name: &str, line: Option<usize>, why: String) -> TemplateError {
    TemplateError { template: name.to_owned(), line, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn renders_with_its_last_newline_and_without_escaping() {
        let values = json!({"a": "<&\"x\">"});
        assert_eq!(render_text("t", "a={{ a }}\nb\n", &values).unwrap(), "a=<&\"x\">\nb\n");
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        for (text, expected) in [
            ("one\n{{ missing }}\n", "templates/t.tera line 2: "),
            ("{{ a.missing }}\n", "templates/t.tera line 1: "),
            ("one\ntwo\n{% if %}\n", "templates/t.tera line 3: "),
        ] {
            let error = render_text("t", text, &json!({"a": {}})).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = render("no/such", &json!({})).unwrap_err().to_string();
        assert_eq!(error, "template templates/no/such.tera: there is no such template");
    }

    #[test]
    fn every_template_can_be_parsed() {
        for (name, text) in TEMPLATES {
            let mut tera = Tera::new();
            tera.add_raw_template(name, text).unwrap();
        }
    }
}
