//! The container runtime interface: gRPC over the runtime's socket.
