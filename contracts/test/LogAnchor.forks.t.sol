// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ILogAnchor} from "../src/interfaces/ILogAnchor.sol";
import {System} from "./base/System.sol";

/// @dev Takes no payment.
contract Refuser {
    ILogAnchor private immutable _anchors;

    constructor(ILogAnchor anchors) {
        _anchors = anchors;
    }

    function report(
        address owner,
        bytes32 log,
        ILogAnchor.SignedCheckpoint calldata one,
        ILogAnchor.SignedCheckpoint calldata other
    ) external {
        _anchors.reportSplitView(owner, log, one, other);
    }
}

/// @dev Withdraws again while it is being paid.
contract Reentrant {
    ILogAnchor private immutable _anchors;
    bytes32 private immutable _log;
    uint256 public calls;

    constructor(ILogAnchor anchors, bytes32 log) payable {
        (_anchors, _log) = (anchors, log);
        anchors.postBond{value: msg.value}(log);
        anchors.requestWithdrawal(log);
    }

    function take() external {
        _anchors.withdraw(_log, address(this));
    }

    receive() external payable {
        ++calls;
        _anchors.withdraw(_log, address(this));
    }
}

contract LogAnchorForksTest is System {
    bytes32 private immutable LOG = sha256("example.org/log");
    uint256 private constant STAKE = 3 ether + 1;

    address private owner;
    uint256 private key;

    function setUp() public override {
        super.setUp();
        (key, owner) = (_key(0), _clinic(0));
        _give(owner, 100 ether);
        _give(stranger, 1 ether);
    }

    receive() external payable {}

    function test_checkpointHash_isTheOneOfTheSharedVector() public view {
        string memory json = vm.readFile("../testdata/checkpoint-signature.json");
        Vector memory vector = abi.decode(
            vm.parseJsonTypeArray(
                json,
                ".cases",
                "Vector(bytes32 hash,bytes32 log,address owner,bytes32 r,bytes32 root,bytes32 s,uint64 size,uint8 v)"
            ),
            (Vector[])
        )[0];
        bytes32 hash = anchors.checkpointHash(vector.log, vector.size, vector.root);
        vm.assertEq(hash, vector.hash);
        vm.assertEq(ecrecover(hash, vector.v, vector.r, vector.s), vector.owner);
    }

    /// @dev A case of testdata/checkpoint-signature.json, fields in alphabetical order.
    struct Vector {
        bytes32 hash;
        bytes32 log;
        address owner;
        bytes32 r;
        bytes32 root;
        bytes32 s;
        uint64 size;
        uint8 v;
    }

    function test_anchorSigned_letsAnyoneBringWhatTheOwnerSigned() public {
        ILogAnchor.SignedCheckpoint memory ours = _signed(key, 7, "root");
        ILogAnchor.SignedCheckpoint memory theirs = _signed(_key(1), 8, "root");
        vm.prank(stranger);
        anchors.anchorSigned(owner, LOG, ours, new bytes32[](0));
        vm.assertEq(anchors.head(owner, LOG).root, "root");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NotSignedByOwner.selector, owner, 8));
        anchors.anchorSigned(owner, LOG, theirs, new bytes32[](0));
    }

    function testFuzz_reportSplitView_paysHalfAndDestroysTheRest(uint64 size, bytes32 one, bytes32 other) public {
        vm.assume(one != other);
        _post(STAKE);
        uint256 before = stranger.balance;
        uint256 burned = address(0).balance;
        ILogAnchor.SignedCheckpoint memory first = _signed(key, size, one);
        ILogAnchor.SignedCheckpoint memory second = _signed(key, size, other);
        vm.expectEmit(address(anchors));
        emit ILogAnchor.Forked(LOG, owner, stranger, uint128(STAKE / 2), uint128(STAKE - STAKE / 2));
        vm.prank(stranger);
        anchors.reportSplitView(owner, LOG, first, second);
        vm.assertEq(stranger.balance - before, STAKE / 2);
        vm.assertEq(address(0).balance - burned, STAKE - STAKE / 2);
        vm.assertEq(address(anchors).balance, 0);
        vm.assertEq(anchors.bond(owner, LOG).amount, 0);
        vm.assertTrue(anchors.head(owner, LOG).forked, "marked");
    }

    function test_aForkedLogAnchorsNothingMoreAndTakesNoBond() public {
        bytes32 leaf = sha256("leaf");
        vm.prank(owner);
        anchors.anchor(LOG, 1, leaf, new bytes32[](0));
        vm.assertTrue(anchors.isAnchored(owner, LOG, 0, leaf, new bytes32[](0)), "before");
        ILogAnchor.SignedCheckpoint memory one = _signed(key, 5, "one");
        ILogAnchor.SignedCheckpoint memory other = _signed(key, 5, "other");
        anchors.reportSplitView(owner, LOG, one, other);
        vm.assertFalse(anchors.isAnchored(owner, LOG, 0, leaf, new bytes32[](0)), "after");
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.LogForked.selector, LOG));
        anchors.anchor(LOG, 2, "more", new bytes32[](0));
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.LogForked.selector, LOG));
        anchors.postBond{value: 1}(LOG);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.LogForked.selector, LOG));
        anchors.reportSplitView(owner, LOG, one, other);
        // Another log of the same owner is another matter.
        vm.prank(owner);
        anchors.anchor("another log", 2, "root", new bytes32[](0));
    }

    function test_reportSplitView_revertsUnlessTwoRootsOfOneSizeAreSigned() public {
        ILogAnchor.SignedCheckpoint memory one = _signed(key, 5, "one");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoContradiction.selector, LOG));
        anchors.reportSplitView(owner, LOG, one, one);
        ILogAnchor.SignedCheckpoint memory later = _signed(key, 6, "other");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoContradiction.selector, LOG));
        anchors.reportSplitView(owner, LOG, one, later);
        ILogAnchor.SignedCheckpoint memory forged = _signed(_key(1), 5, "other");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NotSignedByOwner.selector, owner, 5));
        anchors.reportSplitView(owner, LOG, one, forged);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NotSignedByOwner.selector, owner, 5));
        anchors.reportSplitView(owner, LOG, forged, one);
        // Signed for another log.
        ILogAnchor.SignedCheckpoint memory other = _signed(key, 5, "other");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NotSignedByOwner.selector, owner, 5));
        anchors.reportSplitView(owner, "another log", one, other);
        // What `ecrecover` makes of no signature is the zero account.
        other.v = 29;
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NotSignedByOwner.selector, address(0), 5));
        anchors.reportSplitView(address(0), LOG, other, one);
    }

    function test_aMirroredSignatureIsRefused() public {
        ILogAnchor.SignedCheckpoint memory one = _signed(key, 5, "one");
        ILogAnchor.SignedCheckpoint memory other = _signed(key, 5, "other");
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        other.s = bytes32(order - uint256(other.s));
        other.v = other.v == 27 ? 28 : 27;
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NotSignedByOwner.selector, owner, 5));
        anchors.reportSplitView(owner, LOG, one, other);
    }

    function test_reportUnanchored_convictsOnTheAnchoredHead() public {
        ILogAnchor.SignedCheckpoint memory other = _signed(key, 1, "other");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoContradiction.selector, LOG));
        anchors.reportUnanchored(owner, LOG, other);
        vm.prank(owner);
        anchors.anchor(LOG, 1, "root", new bytes32[](0));
        ILogAnchor.SignedCheckpoint memory same = _signed(key, 1, "root");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoContradiction.selector, LOG));
        anchors.reportUnanchored(owner, LOG, same);
        anchors.reportUnanchored(owner, LOG, other);
        vm.assertTrue(anchors.head(owner, LOG).forked, "marked");
    }

    function test_reportRewrittenEntry_convictsOnTreesOfDifferentSizes() public {
        (bytes32 a, bytes32 b, bytes32 c) = (sha256("a"), sha256("b"), sha256("c"));
        ILogAnchor.SignedCheckpoint memory one = _signed(key, 1, a);
        ILogAnchor.SignedCheckpoint memory other =
            _signed(key, 2, sha256(abi.encodePacked(bytes1(0x01), b, c)));
        ILogAnchor.Inclusion memory inOne = ILogAnchor.Inclusion(a, new bytes32[](0));
        ILogAnchor.Inclusion memory inOther = ILogAnchor.Inclusion(b, new bytes32[](1));
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoContradiction.selector, LOG));
        anchors.reportRewrittenEntry(owner, LOG, 0, one, inOne, other, inOther);
        inOther.path[0] = c;
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoContradiction.selector, LOG));
        anchors.reportRewrittenEntry(owner, LOG, 1, one, inOne, other, inOther);
        anchors.reportRewrittenEntry(owner, LOG, 0, one, inOne, other, inOther);
        vm.assertTrue(anchors.head(owner, LOG).forked, "marked");
    }

    function test_reportRewrittenEntry_sparesALogThatOnlyGrew() public {
        (bytes32 a, bytes32 c) = (sha256("a"), sha256("c"));
        ILogAnchor.SignedCheckpoint memory one = _signed(key, 1, a);
        ILogAnchor.SignedCheckpoint memory other =
            _signed(key, 2, sha256(abi.encodePacked(bytes1(0x01), a, c)));
        ILogAnchor.Inclusion memory inOther = ILogAnchor.Inclusion(a, new bytes32[](1));
        inOther.path[0] = c;
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoContradiction.selector, LOG));
        anchors.reportRewrittenEntry(owner, LOG, 0, one, ILogAnchor.Inclusion(a, new bytes32[](0)), other, inOther);
    }

    function test_aBondIsReturnedOnlyAfterTheDelay() public {
        _post(STAKE);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.BondHeld.selector, LOG, 0));
        anchors.withdraw(LOG, owner);
        vm.prank(owner);
        anchors.requestWithdrawal(LOG);
        vm.warp(START + 7 days - 1);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.BondHeld.selector, LOG, START + 7 days));
        anchors.withdraw(LOG, owner);
        vm.warp(START + 7 days);
        uint256 before = stranger.balance;
        vm.prank(owner);
        anchors.withdraw(LOG, stranger);
        vm.assertEq(stranger.balance - before, STAKE);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoBond.selector, LOG));
        anchors.withdraw(LOG, stranger);
    }

    function test_aBondThatWasAskedBackIsStillLost() public {
        _post(STAKE);
        vm.prank(owner);
        anchors.requestWithdrawal(LOG);
        vm.warp(START + 7 days);
        ILogAnchor.SignedCheckpoint memory one = _signed(key, 5, "one");
        ILogAnchor.SignedCheckpoint memory other = _signed(key, 5, "other");
        anchors.reportSplitView(owner, LOG, one, other);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoBond.selector, LOG));
        anchors.withdraw(LOG, owner);
    }

    function test_addingToABondForgetsTheWithdrawal() public {
        _post(1 ether);
        vm.prank(owner);
        anchors.requestWithdrawal(LOG);
        _post(1 ether);
        vm.assertEq(anchors.bond(owner, LOG).amount, 2 ether);
        vm.assertEq(anchors.bond(owner, LOG).withdrawableAt, 0);
    }

    function test_nothingIsNoBond() public {
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoBond.selector, LOG));
        anchors.postBond(LOG);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.NoBond.selector, LOG));
        anchors.requestWithdrawal(LOG);
    }

    function test_aReporterThatTakesNoPaymentIsTold() public {
        _post(STAKE);
        Refuser refuser = new Refuser(anchors);
        ILogAnchor.SignedCheckpoint memory one = _signed(key, 5, "one");
        ILogAnchor.SignedCheckpoint memory other = _signed(key, 5, "other");
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.PaymentRefused.selector, address(refuser)));
        refuser.report(owner, LOG, one, other);
    }

    function test_withdraw_paysOnceEvenIfCalledBack() public {
        _post(STAKE);
        Reentrant thief = new Reentrant{value: 1 ether}(anchors, LOG);
        vm.warp(START + 7 days);
        vm.expectRevert(abi.encodeWithSelector(ILogAnchor.PaymentRefused.selector, address(thief)));
        thief.take();
        vm.assertEq(address(anchors).balance, STAKE + 1 ether);
    }

    function _post(uint256 amount) private {
        vm.prank(owner);
        anchors.postBond{value: amount}(LOG);
    }

    function _give(address account, uint256 amount) private {
        (bool paid,) = account.call{value: amount}("");
        require(paid, "paid");
    }

    function _signed(uint256 signer, uint64 size, bytes32 root)
        private
        view
        returns (ILogAnchor.SignedCheckpoint memory checkpoint)
    {
        checkpoint.size = size;
        checkpoint.root = root;
        (checkpoint.v, checkpoint.r, checkpoint.s) = vm.sign(signer, anchors.checkpointHash(LOG, size, root));
    }
}
