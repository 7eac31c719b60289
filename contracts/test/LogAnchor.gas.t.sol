// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ILogAnchor} from "../src/interfaces/ILogAnchor.sol";
import {System} from "./base/System.sol";
import {UniformLog} from "./base/UniformLog.sol";

/// @dev What each hot call of `LogAnchor` costs, with its transaction: `npm run gas` writes gas.json, `npm test` compares.
contract LogAnchorGasTest is System {
    string private constant FILE = "gas";

    /// @dev Anchoring costs less between any two sizes of which both are below 2^20 or both are multiples of a millionth of the
    /// log, rounded as docs/spec/log.md says.
    uint256 private constant LIMIT = 60_000;

    address private immutable clinic = _clinic(0);

    function test_gas_anchor() public {
        vm.prank(clinic);
        anchors.anchor("log", 5_000, "root", new bytes32[](0));
        vm.snapshotGasLastCall(FILE, "LogAnchor.anchor, first");
        _anchorNext(5_000, 9_000);
        vm.snapshotGasLastCall(FILE, "LogAnchor.anchor, next, 5,000 to 9,000 entries");
        // A minute of a busy log: a million entries more on sixteen million.
        _anchorNext(16_000_001, 17_000_000);
        vm.snapshotGasLastCall(FILE, "LogAnchor.anchor, next, 16,000,001 to 17,000,000 entries");
        // Days of two hundred thousand entries a second, and a minute more.
        _anchorNext(1_000_001 << 20, 1_000_012 << 20);
        vm.snapshotGasLastCall(FILE, "LogAnchor.anchor, next, 10^12 entries, by 11 x 2^20");
    }

    function testFuzz_anchor_staysBelowTheLimit(uint256 size, uint256 more, uint256 alignment) public {
        more = _bound(more, 2, 1 << 20);
        size = _bound(size, 1, more - 1);
        alignment = _bound(alignment, 0, 20);
        _anchorNext(size << alignment, more << alignment);
        _requireCheap();
    }

    function test_anchor_staysBelowTheLimitWhereBothTreesHashEveryLevel() public {
        _anchorNext((1 << 20) - 1, 1 << 20);
        _requireCheap();
        _anchorNext(((1 << 20) - 1) << 20, 1 << 40);
        _requireCheap();
    }

    function test_gas_reportSplitView() public {
        bytes32 log = "log";
        vm.prank(clinic);
        anchors.anchor(log, 1, "root", new bytes32[](0));
        vm.deal(clinic, 1 ether);
        vm.prank(clinic);
        anchors.postBond{value: 1 ether}(log);
        vm.snapshotGasLastCall(FILE, "LogAnchor.postBond, first");
        ILogAnchor.SignedCheckpoint memory one = ILogAnchor.SignedCheckpoint(2, "one", 0, 0, 0);
        ILogAnchor.SignedCheckpoint memory other = ILogAnchor.SignedCheckpoint(2, "other", 0, 0, 0);
        (one.v, one.r, one.s) = vm.sign(_key(0), anchors.checkpointHash(log, 2, "one"));
        (other.v, other.r, other.s) = vm.sign(_key(0), anchors.checkpointHash(log, 2, "other"));
        vm.prank(sponsor);
        anchors.reportSplitView(clinic, log, one, other);
        vm.snapshotGasLastCall(FILE, "LogAnchor.reportSplitView");
    }

    function test_gas_verifyInclusion() public {
        bytes32[] memory path = new bytes32[](24);
        bytes32 hash = "leaf";
        // The path of entry 0 in a full tree: the sibling is always on the right.
        for (uint256 i = 0; i < 24; ++i) {
            path[i] = keccak256(abi.encode(i));
            hash = sha256(abi.encodePacked(bytes1(0x01), hash, path[i]));
        }
        bool included = anchors.verifyInclusion(hash, 1 << 24, 0, "leaf", path);
        vm.snapshotGasLastCall(FILE, "LogAnchor.verifyInclusion, depth 24");
        vm.assertTrue(included);
    }

    /// @dev Anchors `size` entries and then, as the last call, `more`, both in a slot of its own.
    function _anchorNext(uint256 size, uint256 more) private {
        bytes32 log = keccak256(abi.encode(size, more));
        (bytes32 older, bytes32 newer) = (UniformLog.root(size), UniformLog.root(more));
        bytes32[] memory proof = UniformLog.growth(size, more);
        vm.prank(clinic);
        anchors.anchor(log, uint64(size), older, new bytes32[](0));
        _callData = abi.encodeCall(ILogAnchor.anchor, (log, uint64(more), newer, proof));
        vm.prank(clinic);
        anchors.anchor(log, uint64(more), newer, proof);
    }

    bytes private _callData;

    /// @dev What the call used, and the least that EIP-7623 (Prague) charges for its calldata: 10 gas a zero byte, 40 another.
    function _requireCheap() private view {
        vm.assertLt(vm.lastCallGas().gasTotalUsed, LIMIT);
        uint256 floor = 21_000;
        bytes memory data = _callData;
        for (uint256 i = 0; i < data.length; ++i) {
            floor += data[i] == 0 ? 10 : 40;
        }
        vm.assertLt(floor, LIMIT);
    }
}
