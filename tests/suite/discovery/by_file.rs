//! Discovery by a kubeconfig.
