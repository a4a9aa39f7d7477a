//! What the container runtime says of itself.

use crate::cri::Client;
use crate::cri::message::CgroupDriver;
use crate::cri::message::RuntimeCondition;
use crate::facts::Questions;
use crate::facts::question::CRI_SOCKETS;
use crate::host::Host;
use crate::host::Socket;
use crate::host::fleet::side_by_side;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuntimeFacts {
    /// Where the wanted runtime does not answer: the known sockets at which one does.
    pub sockets: BTreeSet<String>,
    pub connection: Connection,
    pub status: Status,
    pub config: RuntimeConfig,
    /// The image that holds a pod's namespaces, where the runtime tells it.
    pub sandbox_image: Option<String>,
    /// Images asked about and whether they are here.
    pub images: BTreeMap<String, bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Connection {
    /// Nobody asked.
    #[default]
    Unknown,
    /// Why not.
    Failed(String),
    Ok {
        /// `containerd`, `cri-o`.
        name: String,
        version: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    #[default]
    Unknown,
    Failed(String),
    Conditions(Vec<Condition>),
}

/// A condition such as `RuntimeReady`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub name: String,
    pub is_true: bool,
    pub reason: String,
    pub message: String,
}

/// The answer to `RuntimeConfig`, by which the runtime tells its cgroup driver (KEP 4033).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RuntimeConfig {
    #[default]
    Unknown,
    Unimplemented,
    Failed(String),
    Systemd,
    Cgroupfs,
}

/// At which of these sockets somebody answers, in their order. On a far host nothing costs as much as asking where nothing is.
pub(super) fn answering(host: &dyn Host, sockets: Vec<&'static str>) -> Vec<String> {
    let answers = |socket: &str| {
        let path = socket.trim_start_matches("unix://").to_owned();
        host.connect(&Socket::Unix { path }).is_ok()
    };
    // Side by side: a host may be far away.
    let found = side_by_side(sockets, CRI_SOCKETS.len(), |socket| (socket, answers(socket)));
    found.into_iter().filter(|(_, answers)| *answers).map(|(socket, _)| socket.to_owned()).collect()
}

/// Where other runtimes answer, for who cannot talk to the wanted one; `there` are the known sockets that exist.
pub(super) fn others(host: &dyn Host, there: &BTreeSet<&str>, facts: &RuntimeFacts) -> BTreeSet<String> {
    if !matches!(facts.connection, Connection::Failed(_)) {
        return BTreeSet::new();
    }
    let there = CRI_SOCKETS.into_iter().filter(|socket| there.contains(socket.trim_start_matches("unix://")));
    answering(host, there.collect()).into_iter().collect()
}

/// Talks to the runtime behind the socket that `questions` name.
pub(super) fn ask(host: &dyn Host, questions: &Questions) -> RuntimeFacts {
    let Some(socket) = &questions.cri_socket else { return RuntimeFacts::default() };
    let mut facts = RuntimeFacts::default();
    let client = Client::connect(host, socket).and_then(|client| Ok((client.version()?, client)));
    let (version, client) = match client {
        Ok(found) => found,
        Err(error) => {
            facts.connection = Connection::Failed(error.explained());
            return facts;
        }
    };
    facts.connection = Connection::Ok { name: version.name, version: version.version };
    facts.config = match client.runtime_config() {
        Ok(Some(CgroupDriver::Systemd)) => RuntimeConfig::Systemd,
        Ok(Some(CgroupDriver::Cgroupfs)) => RuntimeConfig::Cgroupfs,
        Ok(None) => RuntimeConfig::Unimplemented,
        Err(error) => RuntimeConfig::Failed(error.explained()),
    };
    match client.status(true) {
        Ok(status) => {
            facts.sandbox_image = status.sandbox_image().map(str::to_owned);
            facts.status = Status::Conditions(status.conditions.into_iter().map(Condition::from).collect());
        }
        Err(error) => facts.status = Status::Failed(error.explained()),
    }
    // An image that the runtime cannot tell about counts as missing, as kubeadm has it.
    let here = |image: &String| client.image_status(image).is_ok_and(|found| found.is_some());
    facts.images = questions.images.iter().map(|image| (image.clone(), here(image))).collect();
    facts
}

impl From<RuntimeCondition> for Condition {
    fn from(condition: RuntimeCondition) -> Self {
        Self {
            name: condition.r#type,
            is_true: condition.status,
            reason: condition.reason,
            message: condition.message,
        }
    }
}
