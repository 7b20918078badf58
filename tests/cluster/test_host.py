"""Where no cluster can run, the reason is said, and tests are skipped with it."""

from __future__ import annotations

import os
import platform

import pytest
from pretrain_cluster import host


def test_another_user_than_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert host.why_not().startswith("no cluster can run here: the cluster needs root")


def test_another_system_than_linux_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert "needs Linux, this is Darwin" in host.why_not()


def test_a_kernel_that_gives_no_namespaces_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(host, "_NAMESPACES", ("--no-such-namespace",))
    assert "no cluster can run here: " in host.why_not()
    assert "unshare" in host.why_not()
