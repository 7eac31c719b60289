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

    function testFuzz_anchor_keepsTheNewestCheckpoint(uint64 size, bytes32 root, uint64 more) public {
        size = uint64(_bound(size, 1, type(uint64).max - 1));
        more = uint64(_bound(more, size + 1, type(uint64).max));
        vm.assume(root != 0);
        anchors.anchor(LOG, size, root);
        vm.warp(START + 60);
        vm.expectEmit(address(anchors));
        emit ILogAnchor.Anchored(LOG, address(this), more, ~root | bytes32(uint256(1)));
        anchors.anchor(LOG, more, ~root | bytes32(uint256(1)));
        ILogAnchor.Head memory head = anchors.head(address(this), LOG);
        vm.assertEq(head.size, more);
        vm.assertEq(head.anchoredAt, START + 60);
        vm.assertEq(head.root, ~root | bytes32(uint256(1)));
    }

    function testFuzz_anchor_revertsUnlessTheLogGrew(uint64 size, uint64 next) public {
        size = uint64(_bound(size, 1, type(uint64).max));
        next = uint64(_bound(next, 0, size));
        anchors.anchor(LOG, size, "root");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.SizeNotGrowing.selector, LOG, next, size));
        anchors.anchor(LOG, next, "root");
    }

    function test_anchor_revertsWithoutARoot() public {
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.EmptyCheckpoint.selector, LOG));
        anchors.anchor(LOG, 1, 0);
    }

    function test_anchor_leavesTheSameNameToOthers() public {
        vm.prank(stranger);
        anchors.anchor(LOG, 100, "a stranger's root");
        anchors.anchor(LOG, 1, "our root");
        vm.assertEq(anchors.head(address(this), LOG).root, "our root");
        vm.assertEq(anchors.head(stranger, LOG).root, "a stranger's root");
    }

    function test_isAnchored_checksAgainstTheNewestCheckpoint() public {
        bytes32[] memory path = _path(3, 0, 7);
        vm.assertFalse(anchors.isAnchored(address(this), LOG, 3, _leaf(3), path), "nothing anchored");
        anchors.anchor(LOG, 7, _root(0, 7));
        vm.assertTrue(anchors.isAnchored(address(this), LOG, 3, _leaf(3), path));
        vm.assertFalse(anchors.isAnchored(stranger, LOG, 3, _leaf(3), path), "another owner");
        anchors.anchor(LOG, 11, _root(0, 11));
        vm.assertFalse(anchors.isAnchored(address(this), LOG, 3, _leaf(3), path), "an older tree");
        vm.assertTrue(anchors.isAnchored(address(this), LOG, 3, _leaf(3), _path(3, 0, 11)));
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
}
