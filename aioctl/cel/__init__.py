"""The Common Expression Language as far as validation rules of CRDs use it (cel-spec 0.24, Kubernetes' extensions): pure."""
