"""What is told of a pod that does not become ready."""

from __future__ import annotations

from netprobe.probe.readiness import describe, warnings

STATUS = 'ImagePullBackOff: Back-off pulling image "r.example/a:1": ErrImagePull: failed to pull and unpack'
SECRET = (
    "FailedToRetrieveImagePullSecret",
    "Unable to retrieve some image pull secrets (mirror); attempting to pull the image may not succeed.",
)


def test_a_missing_pull_secret_comes_first_and_nothing_twice() -> None:
    pulling = ("Failed", 'Failed to pull image "r.example/a:1": failed to pull and unpack')
    noise = [pulling, ("Failed", "Error: ErrImagePull"), ("Failed", "Error: ImagePullBackOff")]
    assert warnings([*noise, SECRET, *noise, SECRET], STATUS) == ": ".join(SECRET)
    assert warnings(noise, STATUS) == ""


def test_a_container_that_fails_has_the_last_word() -> None:
    ended = {"terminated": {"exitCode": 1, "message": "this image has no BusyBox nc\n"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    status = {"containerStatuses": [{"name": "probe", "state": waiting, "lastState": ended}]}
    output = describe({"status": status})
    assert output == "CrashLoopBackOff: back-off 10s; this image has no BusyBox nc"
    assert warnings([("BackOff", "Back-off restarting failed container probe in pod web")], output) == ""
