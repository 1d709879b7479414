"""The Kubernetes-compatible face of the lab: objects, HTTP, watches, exec and port-forward."""
