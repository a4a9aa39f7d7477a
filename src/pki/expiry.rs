//! When certificates expire (`certs check-expiration`).

use super::Ca;
use super::CertName;
use super::certificate::Certificate;
use super::columns::aligned;
use super::inventory::FileState;
use super::inventory::Inventory;
use super::kubeconfig;
use super::load;
use super::spec;
use super::spec::CertSpec;
use crate::cluster::Cluster;
use crate::cluster::Node;
use serde_json::Value;
use serde_json::json;
use time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// The expiry of what one control plane has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub certificates: Vec<Row>,
    pub authorities: Vec<Row>,
    /// What the kubelet renews by itself, as far as it is there.
    pub kubelet: Vec<Row>,
}

/// One certificate; `None` when it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub found: Option<Found>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub expires: OffsetDateTime,
    pub residual: Duration,
    /// The name of its authority; `None` for an authority.
    pub authority: Option<&'static str>,
    /// Its authority's key is kept elsewhere.
    pub external: bool,
}

/// The certificates that kubeadm lists, in the order of their names.
pub const NAMES: [CertName; 11] = [
    CertName::Admin,
    CertName::Apiserver,
    CertName::ApiserverEtcdClient,
    CertName::ApiserverKubeletClient,
    CertName::ControllerManager,
    CertName::EtcdHealthcheckClient,
    CertName::EtcdPeer,
    CertName::EtcdServer,
    CertName::FrontProxyClient,
    CertName::Scheduler,
    CertName::SuperAdmin,
];
/// What kubeadm does not list, since the kubelet renews it.
const KUBELET: [CertName; 2] = [CertName::KubeletClient, CertName::KubeletServing];
const AUTHORITIES: [Ca; 5] = [Ca::Kubernetes, Ca::Etcd, Ca::EtcdPeer, Ca::FrontProxy, Ca::Kubelet];

/// Every path to look at before [`check`].
pub fn paths(cluster: &Cluster, node: &Node) -> Vec<String> {
    let names = NAMES.into_iter().chain(KUBELET).chain(AUTHORITIES.map(CertName::Ca));
    names.flat_map(|name| spec::spec(cluster, node, name).all_paths().cloned().collect::<Vec<_>>()).collect()
}

/// Reads off what a control plane has.
///
/// # Errors
/// A certificate exists whose authority cannot be read.
pub fn check(
    cluster: &Cluster,
    node: &Node,
    inventory: &Inventory,
    now: OffsetDateTime,
) -> Result<Report, String> {
    let specs = |names: &[CertName]| -> Vec<CertSpec> {
        let names = names.iter().filter(|name| spec::exists(cluster, **name));
        names.map(|name| spec::spec(cluster, node, *name)).collect()
    };
    let row = |spec: &CertSpec| -> Result<Row, String> {
        let Some(certificate) = certificate(inventory, spec) else {
            return Ok(Row { name: spec.name.as_str(), found: None });
        };
        let ca = spec.signer.map_or(spec.name, CertName::Ca);
        let found = Found {
            expires: certificate.not_after(),
            residual: certificate.not_after() - now,
            authority: spec.signer.map(|ca| CertName::Ca(ca).as_str()),
            external: is_external(inventory, &spec::spec(cluster, node, ca))?,
        };
        Ok(Row { name: spec.name.as_str(), found: Some(found) })
    };
    let authorities = specs(&AUTHORITIES.map(CertName::Ca));
    Ok(Report {
        certificates: specs(&NAMES).iter().map(row).collect::<Result<_, _>>()?,
        authorities: authorities.iter().map(row).collect::<Result<_, _>>()?,
        kubelet: KUBELET
            .iter()
            .filter_map(|name| kubelet_row(&spec::spec(cluster, node, *name), &authorities, inventory, now))
            .collect(),
    })
}

/// A certificate of the kubelet, whose authority depends on who signed it: with three chains the cluster's own does.
fn kubelet_row(
    spec: &CertSpec,
    authorities: &[CertSpec],
    inventory: &Inventory,
    now: OffsetDateTime,
) -> Option<Row> {
    let certificate = certificate(inventory, spec)?;
    let signed = |ca: &&CertSpec| {
        self::certificate(inventory, ca).is_some_and(|authority| certificate.is_signed_by(&authority))
    };
    let authority = authorities.iter().find(signed);
    let found = Found {
        expires: certificate.not_after(),
        residual: certificate.not_after() - now,
        authority: authority.map(|ca| ca.name.as_str()),
        external: authority.is_some_and(|ca| is_external(inventory, ca).unwrap_or_default()),
    };
    Some(Row { name: spec.name.as_str(), found: Some(found) })
}

impl Report {
    /// Two tables, column for column as kubeadm prints them, and a third of what the kubelet renews.
    pub fn text(&self) -> String {
        let header =
            ["CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"];
        let mut first = vec![header.map(str::to_owned).to_vec()];
        first.extend(self.certificates.iter().map(|row| row.cells(true)));
        let header = ["CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"];
        let mut second = vec![header.map(str::to_owned).to_vec()];
        second.extend(self.authorities.iter().map(|row| row.cells(false)));
        let text = format!("{}\n{}", aligned(&first), aligned(&second));
        if self.kubelet.is_empty() {
            return text;
        }
        let header = ["KUBELET CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY"];
        let mut third = vec![header.map(str::to_owned).to_vec()];
        third.extend(self.kubelet.iter().map(Row::kubelet_cells));
        format!("{text}\n{}", aligned(&third))
    }

    /// The names of what expires within this time, or has expired.
    pub fn expiring(&self, within: Duration) -> Vec<&'static str> {
        let rows = self.certificates.iter().chain(&self.authorities).chain(&self.kubelet);
        let soon = |row: &&Row| row.found.as_ref().is_some_and(|found| found.residual <= within);
        rows.filter(soon).map(|row| row.name).collect()
    }

    /// kubeadm's `CertificateExpirationInfo`, and `kubeletCertificates`.
    pub fn value(&self) -> Value {
        let mut value = json!({
            "kind": "CertificateExpirationInfo",
            "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
            "certificates": self.certificates.iter().map(Row::value).collect::<Vec<_>>(),
            "certificateAuthorities": self.authorities.iter().map(Row::value).collect::<Vec<_>>(),
        });
        if !self.kubelet.is_empty() {
            value["kubeletCertificates"] = self.kubelet.iter().map(Row::value).collect();
        }
        value
    }
}

impl Row {
    fn cells(&self, with_authority: bool) -> Vec<String> {
        let Some(found) = &self.found else {
            let mut cells = vec![String::new(); if with_authority { 5 } else { 4 }];
            cells[0] = format!("!MISSING! {}", self.name);
            return cells;
        };
        let mut cells = vec![self.name.to_owned(), date(found.expires), human(found.residual)];
        cells.extend(found.authority.map(str::to_owned));
        cells.push(format!("{:<8}", if found.external { "yes" } else { "no" }));
        cells
    }

    fn kubelet_cells(&self) -> Vec<String> {
        let Some(found) = &self.found else { return vec![String::new(); 4] };
        let authority = found.authority.unwrap_or("<unknown>");
        vec![self.name.to_owned(), date(found.expires), human(found.residual), authority.to_owned()]
    }

    fn value(&self) -> Value {
        let found = self.found.as_ref();
        let mut value = json!({
            "name": self.name,
            "expirationDate": found.and_then(|found| found.expires.format(&Rfc3339).ok()),
            "residualTime": found.map_or(0, |found| found.residual.whole_seconds()),
            "externallyManaged": found.is_some_and(|found| found.external),
            "missing": found.is_none(),
        });
        if let Some(authority) = found.and_then(|found| found.authority) {
            value["caName"] = authority.into();
        }
        value
    }
}

/// A duration as kubectl and kubeadm show it: two units at most, and fewer the longer it is.
pub fn human(duration: Duration) -> String {
    let seconds = duration.whole_seconds();
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{large}{large_unit}")
        } else {
            format!("{large}{large_unit}{small}{small_unit}")
        }
    };
    let (minutes, hours, days, years) =
        (seconds / 60, seconds / 3600, seconds / 86_400, seconds / (86_400 * 365));
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => two(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if years < 8 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

/// The certificate of a row, where there is one that can be read.
pub(super) fn certificate(inventory: &Inventory, spec: &CertSpec) -> Option<Certificate> {
    let read = |path: &Option<String>| match inventory.get(path.as_deref()?) {
        Some(FileState::Present { bytes, .. }) => Some(bytes.clone()),
        _ => None,
    };
    let bytes = if let Some(stored) = read(&spec.paths.store) {
        stored.to_vec()
    } else if spec.name.is_kubeconfig() {
        kubeconfig::parse(&read(&spec.paths.kubeconfig)?).ok()?.client_certificate
    } else {
        read(&spec.paths.certificate)?.to_vec()
    };
    load::certificates(&bytes).ok()?.into_iter().next()
}

/// Whether an authority's key is kept elsewhere.
pub(super) fn is_external(inventory: &Inventory, ca: &CertSpec) -> Result<bool, String> {
    if certificate(inventory, ca).is_none() {
        let base = ca.name.base();
        let path = ca.paths.certificate.as_deref().unwrap_or_default();
        return Err(format!(
            "error checking external CA condition for {base} certificate authority: {path} does not exist or holds no \
             certificate; restore it from another control plane or a backup"
        ));
    }
    let key = ca.paths.key.as_deref().and_then(|path| inventory.get(path));
    Ok(matches!(key, None | Some(FileState::Absent)))
}

fn date(time: OffsetDateTime) -> String {
    let format = format_description!("[month repr:short] [day], [year] [hour]:[minute] UTC");
    time.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_else(|_| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_kubectl() {
        let (minute, hour, day) = (60, 3600, 86_400);
        for (seconds, expected) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (3 * hour - 1, "179m"),
            (3 * hour, "3h"),
            (3 * hour + 5 * minute, "3h5m"),
            (8 * hour, "8h"),
            (48 * hour - 1, "47h"),
            (48 * hour, "2d"),
            (49 * hour, "2d1h"),
            (8 * day, "8d"),
            (729 * day, "729d"),
            (730 * day, "2y"),
            (731 * day, "2y1d"),
            (8 * 365 * day, "8y"),
            (315_359_989, "9y"),
            (31_535_989, "364d"),
        ] {
            assert_eq!(human(Duration::seconds(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn the_tables_are_kubeadms() {
        let expires = time::macros::datetime!(2027-11-20 11:39:39 UTC);
        let row = |name, authority, external| Row {
            name,
            found: Some(Found { expires, residual: Duration::days(364), authority, external }),
        };
        let report = Report {
            certificates: vec![
                row("apiserver", Some("ca"), false),
                row("front-proxy-client", Some("front-proxy-ca"), true),
                Row { name: "scheduler.conf", found: None },
            ],
            authorities: vec![row("ca", None, false), Row { name: "etcd-ca", found: None }],
            kubelet: Vec::new(),
        };
        // The spaces at the ends of lines are kubeadm's.
        let expected = [
            "CERTIFICATE                EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED",
            "apiserver                  Nov 20, 2027 11:39 UTC   364d            ca                      no      ",
            "front-proxy-client         Nov 20, 2027 11:39 UTC   364d            front-proxy-ca          yes     ",
            "!MISSING! scheduler.conf                                                                    ",
            "",
            "CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED",
            "ca                      Nov 20, 2027 11:39 UTC   364d            no      ",
            "!MISSING! etcd-ca                                                ",
            "",
        ];
        assert_eq!(report.text(), expected.join("\n"));
        let value = report.value();
        assert_eq!(value["certificates"][0]["expirationDate"], "2027-11-20T11:39:39Z");
        assert_eq!(value["certificates"][0]["residualTime"], 31_449_600);
        assert_eq!(
            value["certificates"][2],
            json!({"name": "scheduler.conf", "expirationDate": null,
            "residualTime": 0, "externallyManaged": false, "missing": true})
        );
        assert!(value["certificateAuthorities"][0].get("caName").is_none());
        assert!(value.get("kubeletCertificates").is_none());
        for (days, expected) in [(363, 0), (364, 3)] {
            assert_eq!(report.expiring(Duration::days(days)).len(), expected, "{days}");
        }
        let with_kubelet = Report { kubelet: vec![row("kubelet.conf", Some("ca"), false)], ..report.clone() };
        let third = [
            "KUBELET CERTIFICATE   EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY\n",
            "kubelet.conf          Nov 20, 2027 11:39 UTC   364d            ca\n",
        ];
        assert_eq!(with_kubelet.text(), format!("{}\n{}", report.text(), third.concat()));
        assert_eq!(with_kubelet.value()["kubeletCertificates"][0]["caName"], "ca");
    }
}
