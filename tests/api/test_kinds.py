"""The address of an object is that of this object, whatever its name.

Rules: API-1.
"""

import pytest

from aioctl.api import kinds


@pytest.mark.parametrize("name", [".", "..", "../../theirs/secrets/s", "a/b", "s%2f", "%2e%2e"])
def test_a_name_that_leads_elsewhere_has_no_address(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of an object"):
        kinds.SECRET.path("mine", name)
    with pytest.raises(ValueError, match="cannot be the name of an object"):
        kinds.SECRET.path(name, "s")


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("s.1", "s.1"),
        ("system:auth-delegator", "system:auth-delegator"),
        ("s?watch=true", "s%3Fwatch=true"),
        ("a#b c", "a%23b%20c"),
    ],
)
def test_a_name_is_one_segment(name: str, segment: str) -> None:
    assert kinds.CLUSTER_ROLE_BINDING.path("", name, "status") == (
        f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{segment}/status"
    )
