//! The container runtime interface: gRPC over the runtime's socket.

mod error;
pub mod log;
pub mod message;

pub use error::CriError;

use crate::grpc;
use crate::host::Host;
use crate::host::Socket;
use message::CgroupDriver;
use message::Container;
use message::ContainerStatus;
use message::Image;
use message::PodSandbox;
use message::RuntimeCondition;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

/// How long a call may take, as kubeadm has it; a pull may take as long as it takes.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long the end of a pod or container may take: a pod's network is taken down by another program.
const END_TIMEOUT: Duration = Duration::from_secs(20);

const RUNTIME: &str = "RuntimeService";
const IMAGES: &str = "ImageService";

/// A connection to a container runtime. Its calls block.
#[derive(Debug)]
pub struct Client {
    tokio: Runtime,
    channel: Channel,
    socket: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `containerd`, `cri-o`.
    pub name: String,
    pub version: String,
    /// `v1`.
    pub api_version: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub conditions: Vec<RuntimeCondition>,
    /// The runtime's own configuration; only when asked verbosely.
    pub config: Option<serde_json::Value>,
}

impl Client {
    /// Connects to the runtime behind `unix://` and a path, as the host sees it. The runtime is not asked anything.
    ///
    /// # Errors
    /// The socket is no Unix socket, or nobody listens there.
    pub fn connect(host: &dyn Host, socket: &str) -> Result<Self, CriError> {
        let path = socket.strip_prefix("unix://").unwrap_or(socket);
        if !path.starts_with('/') {
            return Err(CriError::Socket { socket: socket.to_owned() });
        }
        let stream = host.connect(&Socket::Unix { path: path.to_owned() }).map_err(CriError::Connect)?;
        let start = |source| CriError::Start { socket: socket.to_owned(), source };
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(start)?;
        let channel = tokio.block_on(async { grpc::channel(grpc::duplex(stream)?).await }).map_err(start)?;
        Ok(Self { tokio, channel, socket: socket.to_owned() })
    }

    /// # Errors
    /// The runtime does not answer, or speaks no CRI v1.
    pub fn version(&self) -> Result<Version, CriError> {
        let request = message::VersionRequest { version: "v1".to_owned() };
        let answer: message::VersionResponse = self.call(RUNTIME, "Version", request)?;
        Ok(Version {
            name: answer.runtime_name,
            version: answer.runtime_version,
            api_version: answer.runtime_api_version,
        })
    }

    /// The runtime's conditions, and its configuration when `verbose`.
    ///
    /// # Errors
    /// The runtime does not answer.
    pub fn status(&self, verbose: bool) -> Result<Status, CriError> {
        let answer: message::StatusResponse =
            self.call(RUNTIME, "Status", message::StatusRequest { verbose })?;
        let config = answer.info.get("config").and_then(|text| serde_json::from_str(text).ok());
        Ok(Status { conditions: answer.status.unwrap_or_default().conditions, config })
    }

    /// The cgroup driver that the runtime uses; `None` when it is too old to tell (KEP 4033).
    ///
    /// # Errors
    /// The runtime does not answer.
    pub fn runtime_config(&self) -> Result<Option<CgroupDriver>, CriError> {
        let answer: Result<message::RuntimeConfigResponse, _> =
            self.call(RUNTIME, "RuntimeConfig", message::Empty {});
        match answer {
            Ok(answer) => Ok(Some(answer.linux.unwrap_or_default().cgroup_driver())),
            Err(error) if error.is_unimplemented() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The image, when it is on the host.
    ///
    /// # Errors
    /// The runtime does not answer.
    pub fn image_status(&self, reference: &str) -> Result<Option<Image>, CriError> {
        let answer: message::ImageStatusResponse = self.call(IMAGES, "ImageStatus", image(reference))?;
        Ok(answer.image)
    }

    /// Pulls an image and returns the runtime's reference of it. There is no limit of time: registries are slow.
    ///
    /// # Errors
    /// The registry or the runtime refuses.
    pub fn pull_image(&self, reference: &str) -> Result<String, CriError> {
        let answer: message::PullImageResponse =
            self.tokio.block_on(self.unary(IMAGES, "PullImage", image(reference)))?;
        Ok(answer.image_ref)
    }

    /// # Errors
    /// The runtime does not answer.
    pub fn list_images(&self) -> Result<Vec<Image>, CriError> {
        let answer: message::ListImagesResponse = self.call(IMAGES, "ListImages", message::Empty {})?;
        Ok(answer.images)
    }

    /// # Errors
    /// The runtime does not answer.
    pub fn list_pod_sandboxes(&self) -> Result<Vec<PodSandbox>, CriError> {
        let answer: message::ListPodSandboxResponse =
            self.call(RUNTIME, "ListPodSandbox", message::Empty {})?;
        Ok(answer.items)
    }

    /// Stops a pod's containers and takes down its network.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub fn stop_pod_sandbox(&self, id: &str) -> Result<(), CriError> {
        self.end_pod("StopPodSandbox", id)
    }

    /// # Errors
    /// The runtime does not answer or refuses.
    pub fn remove_pod_sandbox(&self, id: &str) -> Result<(), CriError> {
        self.end_pod("RemovePodSandbox", id)
    }

    fn end_pod(&self, method: &'static str, id: &str) -> Result<(), CriError> {
        let call = self.unary::<_, message::Empty>(RUNTIME, method, sandbox(id));
        self.tokio.block_on(limited(&self.socket, method, END_TIMEOUT, call)).map(drop)
    }

    /// All containers, those that ended included.
    ///
    /// # Errors
    /// The runtime does not answer.
    pub fn list_containers(&self) -> Result<Vec<Container>, CriError> {
        let answer: message::ListContainersResponse =
            self.call(RUNTIME, "ListContainers", message::Empty {})?;
        Ok(answer.containers)
    }

    /// # Errors
    /// The runtime does not answer, or has no such container.
    pub fn container_status(&self, id: &str) -> Result<ContainerStatus, CriError> {
        let request = message::ContainerStatusRequest { container_id: id.to_owned() };
        let answer: message::ContainerStatusResponse = self.call(RUNTIME, "ContainerStatus", request)?;
        Ok(answer.status.unwrap_or_default())
    }

    /// Kills a container: it is told nothing.
    ///
    /// # Errors
    /// The runtime does not answer, or has no such container.
    pub fn kill_container(&self, id: &str) -> Result<(), CriError> {
        let request = message::StopContainerRequest { container_id: id.to_owned(), timeout: 0 };
        let call = self.unary::<_, message::Empty>(RUNTIME, "StopContainer", request);
        self.tokio.block_on(limited(&self.socket, "StopContainer", END_TIMEOUT, call)).map(drop)
    }

    fn call<Q, A>(&self, service: &'static str, method: &'static str, request: Q) -> Result<A, CriError>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.tokio.block_on(limited(&self.socket, method, TIMEOUT, self.unary(service, method, request)))
    }

    async fn unary<Q, A>(&self, service: &str, method: &'static str, request: Q) -> Result<A, CriError>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let path = format!("/runtime.v1.{service}/{method}");
        let answer = grpc::unary(&self.channel, &path, request).await;
        answer.map_err(|status| CriError::call(&self.socket, method, &status))
    }
}

async fn limited<T>(
    socket: &str,
    method: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, CriError>>,
) -> Result<T, CriError> {
    let late = |_| CriError::Timeout { socket: socket.to_owned(), method, limit };
    tokio::time::timeout(limit, call).await.map_err(late)?
}

fn image(reference: &str) -> message::ImageRequest {
    message::ImageRequest { image: Some(message::ImageSpec { image: reference.to_owned() }) }
}

fn sandbox(id: &str) -> message::PodSandboxRequest {
    message::PodSandboxRequest { pod_sandbox_id: id.to_owned() }
}

impl Status {
    /// The image that holds a pod's namespaces, where the runtime tells it.
    pub fn sandbox_image(&self) -> Option<&str> {
        let config = self.config.as_ref()?;
        // containerd 2 moved it to the pinned images; CRI-O has no such key.
        let places = ["/sandboxImage", "/pinnedImages/sandbox"];
        places.iter().find_map(|place| config.pointer(place)?.as_str()).filter(|image| !image.is_empty())
    }
}
