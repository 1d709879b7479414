"""Addresses and CIDRs in the spellings that the API server takes, and the networks that they mean."""

from __future__ import annotations

import pytest

from netprobe.policies.address import parse_address, parse_block

BLOCKS = {
    "10.0.0.0/8": "10.0.0.0/8",
    "10.1.2.3/16": "10.1.0.0/16",  # host bits
    "010.0.0.0/08": "10.0.0.0/8",  # leading zeros are decimal
    "0000000010.0.0.0/8": "10.0.0.0/8",
    "10.0.0.0/0": "0.0.0.0/0",
    "FD00:0abc::1/64": "fd00:abc::/64",
    "::00ffff/112": "::/112",
    "::ffff:10.1.0.0/112": "10.1.0.0/16",  # v4-mapped
    "::ffff:0a00:0/104": "10.0.0.0/8",
    "::ffff:10.0.0.0/96": "0.0.0.0/0",
    "::ffff:10.0.0.0/90": "::ffc0:0:0/90",  # shorter than the mapping: a network of IPv6
    "::/0": "::/0",
    "1:2:3:4:5:6:1.2.3.4/128": "1:2:3:4:5:6:102:304/128",
}
NONE = [
    *("", "/8", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/ 8", " 10.0.0.0/8"),
    *("10.0.0.0/8/8", "256.0.0.0/8", "1.2.3/8", "1.2.3.4.5/8", "a.b.c.d/8", "\uff110.0.0.0/8"),
    *("::1/129", "1::2::3/64", ":::/0", "1:/64", ":1/64", "::fffff/64", "fd00::%eth0/64"),
    *("1:2:3:4:5:6:7:1.2.3.4/128", "1.2.3.4::/64", "::1:2:3:4:5:6:7:8/128", "10.0.0.0/16777215"),
]


@pytest.mark.parametrize(("text", "network"), BLOCKS.items())
def test_a_cidr_is_the_network_it_means(text: str, network: str) -> None:
    block = parse_block(text)
    assert block is not None
    assert str(block.network) == network


@pytest.mark.parametrize("text", NONE)
def test_what_the_server_refuses_is_not_a_cidr(text: str) -> None:
    assert parse_block(text) is None


@pytest.mark.parametrize(
    ("outer", "inner", "inside"),
    [
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.0.0.0/8", "10.0.0.0/8", False),
        ("10.0.0.0/8", "11.0.0.0/16", False),
        ("10.1.0.0/16", "10.0.0.0/8", False),
        ("0.0.0.0/0", "fd00::/8", False),
        ("::/0", "10.0.0.0/8", False),
        ("10.0.0.0/8", "::ffff:10.0.0.0/104", True),  # lengths are compared as written
        ("::ffff:10.0.0.0/104", "10.1.0.0/16", False),
    ],
)
def test_except_is_a_strict_subset_by_the_server_s_own_test(outer: str, inner: str, inside: bool) -> None:
    one, other = parse_block(outer), parse_block(inner)
    assert one is not None
    assert other is not None
    assert one.contains_strictly(other) is inside


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("010.000.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("FD00::0001", "fd00::1"),
        ("10.0.0", None),
        ("1", None),
        ("", None),
        ("host", None),
    ],
)
def test_an_address(text: str, address: str | None) -> None:
    found = parse_address(text)
    assert (None if found is None else str(found)) == address
