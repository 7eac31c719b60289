// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ILogAnchor} from "../src/interfaces/ILogAnchor.sol";
import {System} from "./base/System.sol";

contract LogAnchorTest is System {
    // A constant would be hashed anew, by a call of its own, wherever it is used.
    bytes32 private immutable LOG = sha256("example.org/log");

    /// @dev A case of testdata/rfc6962-inclusion.json, fields in alphabetical order.
    struct Case {
        uint64 index;
        bytes32 leaf;
        bytes32[] path;
        bytes32 root;
        uint64 size;
        bool valid;
    }

    function test_verifyInclusion_agreesWithTheSharedVectors() public view {
        Case[] memory cases = abi.decode(
            vm.parseJsonTypeArray(
                vm.readFile("../testdata/rfc6962-inclusion.json"),
                ".cases",
                "Case(uint64 index,bytes32 leaf,bytes32[] path,bytes32 root,uint64 size,bool valid)"
            ),
            (Case[])
        );
        vm.assertLt(100, cases.length);
        for (uint256 i = 0; i < cases.length; ++i) {
            Case memory each = cases[i];
            bool answer = anchors.verifyInclusion(each.root, each.size, each.index, each.leaf, each.path);
            vm.assertTrue(answer == each.valid, "a vector");
        }
    }

    function testFuzz_verifyInclusion_holdsForEveryEntryOfATreeOfAnySize(uint256 size, uint256 index) public view {
        size = _bound(size, 1, 130);
        index = _bound(index, 0, size - 1);
        bytes32[] memory path = _path(index, 0, size);
        vm.assertTrue(anchors.verifyInclusion(_root(0, size), uint64(size), uint64(index), _leaf(index), path));
    }

    function testFuzz_verifyInclusion_isFalseForAnotherEntry(uint256 size, uint256 index, uint256 other) public view {
        size = _bound(size, 2, 130);
        index = _bound(index, 0, size - 1);
        other = _bound(other, 0, size - 1);
        vm.assume(other != index);
        bytes32[] memory path = _path(index, 0, size);
        bytes32 root = _root(0, size);
        vm.assertFalse(anchors.verifyInclusion(root, uint64(size), uint64(other), _leaf(index), path), "index");
        vm.assertFalse(anchors.verifyInclusion(root, uint64(size), uint64(index), _leaf(other), path), "leaf");
    }

    function testFuzz_verifyInclusion_isFalseForASpoiltPath(uint256 size, uint256 index, uint256 bit) public view {
        size = _bound(size, 2, 130);
        index = _bound(index, 0, size - 1);
        bytes32[] memory path = _path(index, 0, size);
        bytes32 root = _root(0, size);
        path[bit / 256 % path.length] ^= bytes32(uint256(1) << bit % 256);
        vm.assertFalse(anchors.verifyInclusion(root, uint64(size), uint64(index), _leaf(index), path));
    }

    function testFuzz_verifyInclusion_isFalseForAPathOfAnotherLength(uint256 size, uint256 index) public view {
        size = _bound(size, 2, 130);
        index = _bound(index, 0, size - 1);
        bytes32[] memory path = _path(index, 0, size);
        bytes32 root = _root(0, size);
        bytes32[] memory longer = new bytes32[](path.length + 1);
        bytes32[] memory shorter = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
            if (i < shorter.length) shorter[i] = path[i];
        }
        vm.assertFalse(anchors.verifyInclusion(root, uint64(size), uint64(index), _leaf(index), longer), "longer");
        vm.assertFalse(anchors.verifyInclusion(root, uint64(size), uint64(index), _leaf(index), shorter), "shorter");
    }

    function testFuzz_verifyInclusion_neverRevertsAndNeverBelieves(
        bytes32 root,
        uint64 size,
        uint64 index,
        bytes32 leaf,
        bytes32[] calldata path
    ) public view {
        vm.assume(root != leaf);
        vm.assertFalse(anchors.verifyInclusion(root, size, index, leaf, path));
    }

    function test_verifyInclusion_isFalseForAnEmptyTree() public view {
        vm.assertFalse(anchors.verifyInclusion(0, 0, 0, 0, new bytes32[](0)));
    }

    function test_verifyInclusion_costsBoundedGasWhateverIsSent() public view {
        bytes32[] memory path = new bytes32[](2000);
        for (uint256 shift = 0; shift < 64; ++shift) {
            uint256 before = gasleft();
            anchors.verifyInclusion(0, type(uint64).max, uint64(1) << uint64(shift), 0, path);
            anchors.verifyInclusion(0, type(uint64).max, type(uint64).max - 1, 0, path);
            // Two calls; copying 2,000 entries of calldata is most of it.
            vm.assertLt(before - gasleft(), 2_000_000);
        }
    }

    /// @dev A case of testdata/rfc6962-consistency.json, fields in alphabetical order.
    struct Growth {
        bytes32 newRoot;
        uint64 newSize;
        bytes32 oldRoot;
        uint64 oldSize;
        bytes32[] path;
        bool valid;
    }

    function test_verifyConsistency_agreesWithTheSharedVectors() public view {
        Growth[] memory cases = abi.decode(
            vm.parseJsonTypeArray(
                vm.readFile("../testdata/rfc6962-consistency.json"),
                ".cases",
                "Growth(bytes32 newRoot,uint64 newSize,bytes32 oldRoot,uint64 oldSize,bytes32[] path,bool valid)"
            ),
            (Growth[])
        );
        vm.assertLt(100, cases.length);
        for (uint256 i = 0; i < cases.length; ++i) {
            Growth memory each = cases[i];
            bool answer =
                anchors.verifyConsistency(each.oldSize, each.oldRoot, each.newSize, each.newRoot, each.path);
            vm.assertTrue(answer == each.valid, "a vector");
        }
    }

    function testFuzz_verifyConsistency_holdsBetweenAnyTwoSizes(uint256 size, uint256 more) public view {
        more = _bound(more, 1, 130);
        size = _bound(size, 1, more);
        bytes32[] memory proof = _growth(size, more);
        vm.assertTrue(
            anchors.verifyConsistency(uint64(size), _root(0, size), uint64(more), _root(0, more), proof)
        );
    }

    function testFuzz_verifyConsistency_isFalseForASpoiltProof(uint256 size, uint256 more, uint256 bit) public view {
        more = _bound(more, 2, 130);
        size = _bound(size, 1, more - 1);
        bytes32[] memory proof = _growth(size, more);
        proof[bit / 256 % proof.length] ^= bytes32(uint256(1) << bit % 256);
        vm.assertFalse(
            anchors.verifyConsistency(uint64(size), _root(0, size), uint64(more), _root(0, more), proof)
        );
    }

    function testFuzz_verifyConsistency_isFalseForAProofOfAnotherLength(uint256 size, uint256 more) public view {
        more = _bound(more, 2, 130);
        size = _bound(size, 1, more - 1);
        bytes32[] memory proof = _growth(size, more);
        bytes32[] memory longer = new bytes32[](proof.length + 1);
        bytes32[] memory shorter = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < proof.length; ++i) {
            longer[i] = proof[i];
            if (i < shorter.length) shorter[i] = proof[i];
        }
        bytes32 old = _root(0, size);
        bytes32 next = _root(0, more);
        vm.assertFalse(anchors.verifyConsistency(uint64(size), old, uint64(more), next, longer), "longer");
        vm.assertFalse(anchors.verifyConsistency(uint64(size), old, uint64(more), next, shorter), "shorter");
    }

    function testFuzz_verifyConsistency_neverRevertsAndNeverBelieves(
        bytes32 oldRoot,
        bytes32 newRoot,
        uint64 oldSize,
        uint64 newSize,
        bytes32[] calldata proof
    ) public view {
        vm.assume(oldRoot != newRoot);
        vm.assertFalse(anchors.verifyConsistency(oldSize, oldRoot, newSize, newRoot, proof));
    }

    function test_verifyConsistency_costsBoundedGasWhateverIsSent() public view {
        bytes32[] memory proof = new bytes32[](2000);
        for (uint256 shift = 0; shift < 64; ++shift) {
            uint256 before = gasleft();
            anchors.verifyConsistency(uint64(1) << uint64(shift), 0, type(uint64).max, 0, proof);
            anchors.verifyConsistency(type(uint64).max - 1, 0, type(uint64).max, 0, proof);
            // Two calls; copying 2,000 entries of calldata is most of it.
            vm.assertLt(before - gasleft(), 2_000_000);
        }
    }

    function testFuzz_anchor_keepsTheNewestCheckpoint(uint256 size, uint256 more) public {
        more = _bound(more, 2, 130);
        size = _bound(size, 1, more - 1);
        _anchorTree(size);
        vm.warp(START + 60);
        bytes32 root = _root(0, more);
        vm.expectEmit(address(anchors));
        emit ILogAnchor.Anchored(LOG, address(this), uint64(more), root);
        anchors.anchor(LOG, uint64(more), root, _growth(size, more));
        ILogAnchor.Head memory head = anchors.head(address(this), LOG);
        vm.assertEq(head.size, more);
        vm.assertEq(head.anchoredAt, START + 60);
        vm.assertEq(head.root, root);
        vm.assertFalse(head.forked);
    }

    function testFuzz_anchor_revertsUnlessTheLogGrew(uint256 size, uint256 next) public {
        size = _bound(size, 1, 130);
        next = _bound(next, 1, size);
        _anchorTree(size);
        bytes32 root = _root(0, next);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.SizeNotGrowing.selector, LOG, next, size));
        anchors.anchor(LOG, uint64(next), root, new bytes32[](0));
    }

    function testFuzz_anchor_refusesARewrittenHistory(uint256 size, uint256 more, bytes32 root) public {
        more = _bound(more, 2, 130);
        size = _bound(size, 1, more - 1);
        bytes32 honest = _root(0, more);
        vm.assume(root != 0 && root != honest);
        _anchorTree(size);
        bytes32[] memory proof = _growth(size, more);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.Inconsistent.selector, LOG, more, size));
        anchors.anchor(LOG, uint64(more), root, proof);
        // The honest proof of another log with the same number of entries.
        vm.prank(stranger);
        anchors.anchor(LOG, uint64(size), "another history", new bytes32[](0));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.Inconsistent.selector, LOG, more, size));
        anchors.anchor(LOG, uint64(more), honest, proof);
    }

    function test_anchor_revertsWithoutARoot() public {
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.EmptyCheckpoint.selector, LOG));
        anchors.anchor(LOG, 1, 0, new bytes32[](0));
    }

    function test_anchor_takesNoProofForTheFirstCheckpoint() public {
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.Inconsistent.selector, LOG, 1, 0));
        anchors.anchor(LOG, 1, "root", new bytes32[](1));
    }

    function test_anchor_leavesTheSameNameToOthers() public {
        vm.prank(stranger);
        anchors.anchor(LOG, 100, "a stranger's root", new bytes32[](0));
        anchors.anchor(LOG, 1, "our root", new bytes32[](0));
        vm.assertEq(anchors.head(address(this), LOG).root, "our root");
        vm.assertEq(anchors.head(stranger, LOG).root, "a stranger's root");
    }

    function test_isAnchored_checksAgainstTheNewestCheckpoint() public {
        bytes32[] memory path = _path(3, 0, 7);
        vm.assertFalse(anchors.isAnchored(address(this), LOG, 3, _leaf(3), path), "nothing anchored");
        _anchorTree(7);
        vm.assertTrue(anchors.isAnchored(address(this), LOG, 3, _leaf(3), path));
        vm.assertFalse(anchors.isAnchored(stranger, LOG, 3, _leaf(3), path), "another owner");
        anchors.anchor(LOG, 11, _root(0, 11), _growth(7, 11));
        vm.assertFalse(anchors.isAnchored(address(this), LOG, 3, _leaf(3), path), "an older tree");
        vm.assertTrue(anchors.isAnchored(address(this), LOG, 3, _leaf(3), _path(3, 0, 11)));
    }

    function _anchorTree(uint256 size) private {
        anchors.anchor(LOG, uint64(size), _root(0, size), new bytes32[](0));
    }

    // RFC 6962, section 2.1, by its recursive definition.

    function _leaf(uint256 index) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), "entry", index));
    }

    function _split(uint256 count) private pure returns (uint256 k) {
        k = 1;
        while (k * 2 < count) k *= 2;
    }

    function _root(uint256 start, uint256 count) private pure returns (bytes32) {
        if (count == 1) return _leaf(start);
        uint256 k = _split(count);
        return sha256(abi.encodePacked(bytes1(0x01), _root(start, k), _root(start + k, count - k)));
    }

    function _path(uint256 index, uint256 start, uint256 count) private pure returns (bytes32[] memory path) {
        if (count == 1) return path;
        uint256 k = _split(count);
        bytes32[] memory below =
            index < k ? _path(index, start, k) : _path(index - k, start + k, count - k);
        path = new bytes32[](below.length + 1);
        for (uint256 i = 0; i < below.length; ++i) {
            path[i] = below[i];
        }
        path[below.length] = index < k ? _root(start + k, count - k) : _root(start, k);
    }

    /// @dev The consistency proof from `size` to `more`, both at least 1.
    function _growth(uint256 size, uint256 more) private pure returns (bytes32[] memory) {
        return _subproof(size, 0, more, true);
    }

    /// @dev SUBPROOF of RFC 6962, section 2.1.2, over the entries from `start` on.
    function _subproof(uint256 size, uint256 start, uint256 count, bool whole)
        private
        pure
        returns (bytes32[] memory proof)
    {
        if (size == count) {
            if (whole) return proof;
            proof = new bytes32[](1);
            proof[0] = _root(start, count);
            return proof;
        }
        uint256 k = _split(count);
        bytes32[] memory below = size <= k
            ? _subproof(size, start, k, whole)
            : _subproof(size - k, start + k, count - k, false);
        proof = new bytes32[](below.length + 1);
        for (uint256 i = 0; i < below.length; ++i) {
            proof[i] = below[i];
        }
        proof[below.length] = size <= k ? _root(start + k, count - k) : _root(start, k);
    }
}
