// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IDecisionReceipts} from "../src/interfaces/IDecisionReceipts.sol";
import {ILogAnchor} from "../src/interfaces/ILogAnchor.sol";
import {Receipts} from "./base/Receipts.sol";
import {UniformLog} from "./base/UniformLog.sol";

/// @dev Takes no payment.
contract Refuser {
    function open(IDecisionReceipts receipts, IDecisionReceipts.SignedReceipt calldata signed) external payable {
        receipts.open{value: msg.value}(signed);
    }

    function claim(IDecisionReceipts receipts) external {
        receipts.claim(address(this));
    }
}

/// @dev Claims again while it is being paid.
contract Reentrant {
    IDecisionReceipts private immutable _receipts;

    constructor(IDecisionReceipts receipts, bytes32 log) payable {
        _receipts = receipts;
        receipts.postBond{value: msg.value}(log);
        receipts.requestWithdrawal(log);
    }

    function take(bytes32 log) external {
        _receipts.withdraw(log);
        _receipts.claim(address(this));
    }

    receive() external payable {
        _receipts.claim(address(this));
    }
}

contract DecisionReceiptsTest is Receipts {
    bytes32 private constant KEPT = UniformLog.LEAF;

    /// @dev A case of testdata/decision-receipt.json, fields in alphabetical order.
    struct ReceiptCase {
        uint64 counter;
        uint64 deadline;
        bytes32 endpoint;
        uint64 index;
        bytes32 leaf;
        bytes32 log;
        address owner;
        bytes32[] path;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    function test_ownerOf_agreesWithTheSharedVectors() public {
        string memory json = vm.readFile("../testdata/decision-receipt.json");
        ReceiptCase[] memory cases = abi.decode(
            vm.parseJsonTypeArray(
                json,
                ".cases",
                "ReceiptCase(uint64 counter,uint64 deadline,bytes32 endpoint,uint64 index,bytes32 leaf,bytes32 log,address owner,bytes32[] path,bytes32 r,bytes32 s,uint8 v)"
            ),
            (ReceiptCase[])
        );
        vm.assertLt(1, cases.length);
        for (uint256 i = 0; i < cases.length; ++i) {
            ReceiptCase memory each = cases[i];
            IDecisionReceipts.SignedReceipt memory signed;
            signed.receipt = IDecisionReceipts.Receipt(
                each.log, each.endpoint, each.counter, each.index, each.leaf, each.deadline
            );
            (signed.path, signed.r, signed.s, signed.v) = (each.path, each.r, each.s, each.v);
            vm.assertEq(receipts.ownerOf(signed), each.owner);
            ++signed.receipt.counter;
            vm.assertTrue(_signerOrNone(signed) != each.owner, "another counter");
        }
    }

    function testFuzz_ownerOf_findsTheSignerOfABatch(uint256 count, uint256 which) public view {
        // A batch whose tree is a comb: each receipt but the first is joined to all before it.
        count = _bound(count, 1, 16);
        which = _bound(which, 0, count);
        bytes32 root;
        IDecisionReceipts.SignedReceipt memory signed;
        for (uint256 i = 0; i <= count; ++i) {
            IDecisionReceipts.Receipt memory receipt = _receipt(uint64(i), KEPT);
            bytes32 hash = _structHash(receipt);
            if (i == which) {
                signed.receipt = receipt;
                signed.path = new bytes32[](i == 0 ? count : count - i + 1);
                if (i != 0) signed.path[0] = root;
            } else if (i > which) {
                signed.path[which == 0 ? i - 1 : i - which] = hash;
            }
            root = i == 0 ? hash : _pair(root, hash);
        }
        (signed.v, signed.r, signed.s) = vm.sign(_key(0), _batchHash(root));
        vm.assertEq(receipts.ownerOf(signed), owner);
    }

    function test_ownerOf_refusesWhatIsNoSignature() public {
        IDecisionReceipts.SignedReceipt memory signed = _signed(3, KEPT);
        signed.v = 29;
        vm.expectRevert(IDecisionReceipts.InvalidSignature.selector);
        receipts.ownerOf(signed);
        signed = _signed(3, KEPT);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        signed.s = bytes32(order - uint256(signed.s));
        signed.v = signed.v == 27 ? 28 : 27;
        vm.expectRevert(IDecisionReceipts.InvalidSignature.selector);
        receipts.ownerOf(signed);
        signed = _signed(3, KEPT);
        signed.path = new bytes32[](17);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.PathTooLong.selector, 17));
        receipts.ownerOf(signed);
    }

    function testFuzz_reportAbsent_takesATenth(uint128 stake, uint64 size, uint64 index) public {
        stake = uint128(_bound(stake, 1, 50 ether));
        size = uint64(_bound(size, 0, 100));
        index = uint64(_bound(index, size, type(uint64).max));
        _post(stake);
        if (size != 0) _anchor(0, size);
        IDecisionReceipts.SignedReceipt memory signed = _signed(index, KEPT);
        vm.warp(DEADLINE);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.DeadlineNotPassed.selector, DEADLINE));
        receipts.reportAbsent(signed);
        vm.warp(DEADLINE + 1);
        uint256 burned = address(0).balance;
        uint128 share = (stake + 9) / 10;
        vm.expectEmit(address(receipts));
        emit IDecisionReceipts.PromiseBroken(_id(signed), LOG, owner, asker, share / 2, share - share / 2);
        vm.prank(asker);
        receipts.reportAbsent(signed);
        vm.assertEq(receipts.bond(owner, LOG).amount, stake - share);
        vm.assertEq(receipts.creditOf(asker), share / 2);
        vm.assertEq(address(0).balance - burned, share - share / 2);
        // Once.
        bytes32 id = _id(signed);
        bytes memory again =
            abi.encodeWithSelector(IDecisionReceipts.WrongState.selector, id, IDecisionReceipts.State.Broken);
        vm.expectRevert(again);
        receipts.reportAbsent(signed);
        vm.expectRevert(again);
        receipts.open(signed);
    }

    function test_reportAbsent_revertsWhereTheLogReachesThePlace() public {
        _post(STAKE);
        _anchor(0, 4);
        vm.warp(DEADLINE + 1);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.PlaceAnchored.selector, 3, 4));
        receipts.reportAbsent(_signed(3, KEPT));
        receipts.reportAbsent(_signed(4, KEPT));
    }

    function test_reportAbsent_takesAForkedLogForOneWithoutEntries() public {
        _post(STAKE);
        _anchor(0, 4);
        vm.warp(DEADLINE + 1);
        IDecisionReceipts.SignedReceipt memory kept = _signed(2, KEPT);
        _open(kept);
        receipts.answer(owner, kept.receipt, UniformLog.path(2, 4));
        _fork();
        receipts.reportAbsent(_signed(3, KEPT));
        vm.expectRevert(
            abi.encodeWithSelector(IDecisionReceipts.WrongState.selector, _id(kept), IDecisionReceipts.State.Kept)
        );
        receipts.reportAbsent(kept);
    }

    function test_reportOther_needsAnotherAnchoredEntry() public {
        _post(STAKE);
        _anchor(0, 7);
        IDecisionReceipts.SignedReceipt memory signed = _signed(3, "promised");
        bytes32[] memory path = UniformLog.path(3, 7);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.NotAnchored.selector, 3));
        receipts.reportOther(signed, "made up", path);
        IDecisionReceipts.SignedReceipt memory honest = _signed(3, KEPT);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.PromiseKept.selector, 3));
        receipts.reportOther(honest, KEPT, path);
        // Before the deadline: what stands there stays there.
        receipts.reportOther(signed, KEPT, path);
        vm.assertEq(receipts.bond(owner, LOG).amount, STAKE - (STAKE + 9) / 10);
    }

    function test_reportContradiction_convictsOnOnePlaceOrOneNumber() public {
        _post(STAKE);
        IDecisionReceipts.SignedReceipt memory one = _signed(3, "one");
        IDecisionReceipts.SignedReceipt memory other = _signed(3, "other");
        receipts.reportContradiction(one, other);
        vm.expectRevert(
            abi.encodeWithSelector(IDecisionReceipts.WrongState.selector, _id(other), IDecisionReceipts.State.Broken)
        );
        receipts.reportContradiction(_signed(3, "third"), other);
        // One number at two places.
        IDecisionReceipts.Receipt memory again = _receipt(9, "again");
        again.counter = 4;
        receipts.reportContradiction(_signed(4, "four"), _sign(again, 0));
        uint128 left = STAKE - (STAKE + 9) / 10;
        vm.assertEq(receipts.bond(owner, LOG).amount, left - (left + 9) / 10);
    }

    function test_reportContradiction_sparesWhatCanBothBeTrue() public {
        _post(STAKE);
        IDecisionReceipts.SignedReceipt memory one = _signed(3, "one");
        IDecisionReceipts.Receipt memory other = _receipt(3, "one");
        other.deadline += 1;
        vm.expectRevert(IDecisionReceipts.NoContradiction.selector);
        receipts.reportContradiction(one, _sign(other, 0));
        vm.expectRevert(IDecisionReceipts.NoContradiction.selector);
        receipts.reportContradiction(one, _signed(4, "other"));
        other = _receipt(3, "other");
        vm.expectRevert(IDecisionReceipts.NoContradiction.selector);
        receipts.reportContradiction(one, _sign(other, 1));
        other.log = "another log";
        vm.expectRevert(IDecisionReceipts.NoContradiction.selector);
        receipts.reportContradiction(one, _sign(other, 0));
        // The number of another endpoint.
        other = _receipt(9, "other");
        (other.endpoint, other.counter) = ("another", 3);
        vm.expectRevert(IDecisionReceipts.NoContradiction.selector);
        receipts.reportContradiction(one, _sign(other, 0));
    }

    function testFuzz_answer_endsADisputeAndEarnsTheDeposit(uint64 size, uint64 index, uint64 wait) public {
        size = uint64(_bound(size, 1, 300));
        index = uint64(_bound(index, 0, size - 1));
        _post(STAKE);
        _anchor(0, size);
        vm.warp(DEADLINE + 1);
        IDecisionReceipts.SignedReceipt memory signed = _signed(index, KEPT);
        bytes32 id = _open(signed);
        vm.assertEq(receipts.bond(owner, LOG).open, 1);
        vm.warp(block.timestamp + _bound(wait, 0, 1 days));
        bytes32[] memory path = UniformLog.path(index, size);
        vm.expectEmit(address(receipts));
        emit IDecisionReceipts.Answered(id, path, STAKE / 100 + 1);
        vm.prank(stranger);
        receipts.answer(owner, signed.receipt, path);
        vm.assertEq(receipts.creditOf(owner), STAKE / 100 + 1);
        vm.assertEq(receipts.bond(owner, LOG).amount, STAKE);
        vm.assertEq(receipts.bond(owner, LOG).open, 0);
        bytes memory over =
            abi.encodeWithSelector(IDecisionReceipts.WrongState.selector, id, IDecisionReceipts.State.Kept);
        vm.expectRevert(over);
        receipts.settle(owner, signed.receipt);
        vm.expectRevert(over);
        receipts.open(signed);
    }

    function test_answer_mayUseACheckpointThatCameLater() public {
        _post(STAKE);
        _anchor(0, 5);
        vm.warp(DEADLINE + 1);
        IDecisionReceipts.SignedReceipt memory signed = _signed(2, KEPT);
        _open(signed);
        _anchor(5, 9);
        bytes32[] memory path = UniformLog.path(2, 5);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.NotAnchored.selector, 2));
        receipts.answer(owner, signed.receipt, path);
        receipts.answer(owner, signed.receipt, UniformLog.path(2, 9));
    }

    function test_settle_takesSilenceForABrokenPromise() public {
        _post(STAKE);
        _anchor(0, 5);
        vm.warp(DEADLINE + 1);
        IDecisionReceipts.SignedReceipt memory signed = _signed(2, "withheld");
        bytes32 id = _open(signed);
        uint64 answerBy = receipts.dispute(id).answerBy;
        vm.warp(answerBy);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.WrongTime.selector, id, answerBy));
        receipts.settle(owner, signed.receipt);
        vm.warp(answerBy + 1);
        bytes32[] memory path = UniformLog.path(2, 5);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.WrongTime.selector, id, answerBy));
        receipts.answer(owner, signed.receipt, path);
        // Whoever settles, the challenger is paid.
        vm.prank(stranger);
        receipts.settle(owner, signed.receipt);
        uint128 share = (STAKE + 9) / 10;
        vm.assertEq(receipts.creditOf(asker), share / 2 + STAKE / 100 + 1);
        vm.assertEq(receipts.creditOf(stranger), 0);
        uint256 before = asker.balance;
        vm.prank(asker);
        receipts.claim(asker);
        vm.assertEq(asker.balance - before, share / 2 + STAKE / 100 + 1);
        vm.assertEq(address(receipts).balance, STAKE - share);
    }

    function test_open_asksForTheDepositAndABond() public {
        _anchor(0, 5);
        vm.warp(DEADLINE);
        IDecisionReceipts.SignedReceipt memory signed = _signed(2, KEPT);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.DeadlineNotPassed.selector, DEADLINE));
        receipts.open(signed);
        vm.warp(DEADLINE + 1);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.NoBond.selector, LOG));
        receipts.open(signed);
        _post(STAKE);
        vm.prank(asker);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.WrongDeposit.selector, STAKE / 100 + 1, 1));
        receipts.open{value: 1}(signed);
        _post(50 ether);
        vm.assertEq(receipts.depositOf(owner, LOG), 0.01 ether);
        bytes32 id = _open(signed);
        vm.assertEq(receipts.dispute(id).challenger, asker);
    }

    function test_aDisputeThatIsShownToBeRightEndsEarly() public {
        _post(STAKE);
        _anchor(0, 5);
        vm.warp(DEADLINE + 1);
        IDecisionReceipts.SignedReceipt memory signed = _signed(2, "withheld");
        _open(signed);
        // Somebody who has the tiles.
        bytes32[] memory path = UniformLog.path(2, 5);
        vm.prank(stranger);
        receipts.reportOther(signed, KEPT, path);
        vm.assertEq(receipts.bond(owner, LOG).open, 0);
        vm.assertEq(receipts.creditOf(asker), STAKE / 100 + 1);
        vm.assertEq(receipts.creditOf(stranger), (STAKE + 9) / 10 / 2);
        bytes memory over = abi.encodeWithSelector(
            IDecisionReceipts.WrongState.selector, _id(signed), IDecisionReceipts.State.Broken
        );
        vm.warp(DEADLINE + 3 days);
        vm.expectRevert(over);
        receipts.settle(owner, signed.receipt);
    }

    function test_aContradictionLeavesAnOpenDisputeToItsEnd() public {
        _post(STAKE);
        _anchor(0, 5);
        vm.warp(DEADLINE + 1);
        IDecisionReceipts.SignedReceipt memory disputed = _signed(2, KEPT);
        _open(disputed);
        receipts.reportContradiction(_signed(2, "other"), disputed);
        vm.assertEq(receipts.bond(owner, LOG).open, 1);
        receipts.answer(owner, disputed.receipt, UniformLog.path(2, 5));
        vm.assertEq(receipts.bond(owner, LOG).open, 0);
    }

    function test_aBondStaysWhileADisputeIsOpen() public {
        _post(STAKE);
        _anchor(0, 5);
        vm.prank(owner);
        receipts.requestWithdrawal(LOG);
        vm.warp(START + 7 days - 1);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.BondHeld.selector, LOG, START + 7 days, 0));
        receipts.withdraw(LOG);
        IDecisionReceipts.SignedReceipt memory signed = _signed(2, KEPT);
        _open(signed);
        vm.warp(START + 7 days);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.BondHeld.selector, LOG, START + 7 days, 1));
        receipts.withdraw(LOG);
        receipts.answer(owner, signed.receipt, UniformLog.path(2, 5));
        vm.prank(owner);
        receipts.withdraw(LOG);
        vm.prank(owner);
        receipts.claim(stranger);
        vm.assertEq(address(receipts).balance, 0);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.NoBond.selector, LOG));
        receipts.withdraw(LOG);
    }

    function test_addingToABondForgetsTheWithdrawal() public {
        _post(STAKE);
        vm.prank(owner);
        receipts.requestWithdrawal(LOG);
        _post(1);
        vm.warp(START + 8 days);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.BondHeld.selector, LOG, 0, 0));
        receipts.withdraw(LOG);
    }

    function test_nothingIsNoBond() public {
        bytes memory none = abi.encodeWithSelector(IDecisionReceipts.NoBond.selector, LOG);
        vm.expectRevert(none);
        receipts.postBond(LOG);
        vm.expectRevert(none);
        receipts.requestWithdrawal(LOG);
        vm.expectRevert(none);
        receipts.withdraw(LOG);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.NothingCredited.selector, stranger));
        vm.prank(stranger);
        receipts.claim(stranger);
    }

    function test_aBrokenPromiseIsMarkedWhereNothingIsLeftToLose() public {
        vm.warp(DEADLINE + 1);
        IDecisionReceipts.SignedReceipt memory signed = _signed(2, KEPT);
        receipts.reportAbsent(signed);
        vm.assertTrue(receipts.dispute(_id(signed)).state == IDecisionReceipts.State.Broken);
    }

    function test_aChallengerThatTakesNoPaymentHoldsNothingUp() public {
        _post(STAKE);
        _anchor(0, 5);
        vm.warp(DEADLINE + 1);
        Refuser refuser = new Refuser();
        IDecisionReceipts.SignedReceipt memory signed = _signed(2, KEPT);
        refuser.open{value: STAKE / 100 + 1}(receipts, signed);
        vm.warp(DEADLINE + 2 days);
        receipts.settle(owner, signed.receipt);
        vm.assertEq(receipts.bond(owner, LOG).open, 0);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.PaymentRefused.selector, address(refuser)));
        refuser.claim(receipts);
    }

    function test_claim_paysOnceEvenIfCalledBack() public {
        _post(STAKE);
        Reentrant thief = new Reentrant{value: 1 ether}(receipts, LOG);
        vm.warp(START + 7 days);
        vm.expectRevert(abi.encodeWithSelector(IDecisionReceipts.PaymentRefused.selector, address(thief)));
        thief.take(LOG);
        vm.assertEq(address(receipts).balance, STAKE + 1 ether);
    }

    function _open(IDecisionReceipts.SignedReceipt memory signed) private returns (bytes32) {
        uint256 deposit = receipts.depositOf(owner, LOG);
        vm.prank(asker);
        return receipts.open{value: deposit}(signed);
    }

    function _fork() private {
        ILogAnchor.SignedCheckpoint[2] memory two;
        for (uint256 i = 0; i < 2; ++i) {
            two[i].size = 9;
            two[i].root = bytes32(i);
            (two[i].v, two[i].r, two[i].s) = vm.sign(_key(0), anchors.checkpointHash(LOG, 9, bytes32(i)));
        }
        anchors.reportSplitView(owner, LOG, two[0], two[1]);
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _signerOrNone(IDecisionReceipts.SignedReceipt memory signed) private view returns (address) {
        try receipts.ownerOf(signed) returns (address signer) {
            return signer;
        } catch {
            return address(0);
        }
    }

    receive() external payable {}
}
