// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {DecisionReceipts} from "../../src/DecisionReceipts.sol";
import {IDecisionReceipts} from "../../src/interfaces/IDecisionReceipts.sol";
import {Receipts} from "../base/Receipts.sol";
import {UniformLog} from "../base/UniformLog.sol";

/// @dev One owner, receipts that are kept or not by their index, and anyone who disputes them, in any order.
contract ReceiptsHandler is Receipts {
    uint64 private constant PLACES = 24;

    uint256 public claimed;
    uint256 public posted;
    uint256 public deposited;
    uint256 public burned;
    /// @notice Honest receipts that were shown to be broken though the log held them, and disputes that could not be ended
    uint256 public injustices;

    uint64 private _size;

    constructor() {
        setUp();
        _post(STAKE);
        posted = STAKE;
    }

    /// @dev Once: the fuzzer calls it too.
    function setUp() public override {
        if (address(receipts) == address(0)) super.setUp();
    }

    function contractAt() external view returns (DecisionReceipts) {
        return receipts;
    }

    function log() external view returns (bytes32) {
        return LOG;
    }

    function ownerAt() external view returns (address) {
        return owner;
    }

    function accounts() public view returns (address[3] memory) {
        return [owner, asker, stranger];
    }

    function places() external pure returns (uint64) {
        return PLACES;
    }

    /// @dev Receipts of odd places promise what the log does not hold.
    function receiptOf(uint64 place) public view returns (IDecisionReceipts.SignedReceipt memory) {
        return _signed(place, _isHonest(place) ? UniformLog.LEAF : bytes32("a lie"));
    }

    function postMore(uint256 amount) external {
        amount = _bound(amount, 1, 1 ether);
        vm.deal(owner, amount);
        _post(amount);
        posted += amount;
    }

    function grow(uint64 by) external {
        uint64 next = _size + uint64(_bound(by, 1, 6));
        if (next > PLACES) return;
        _anchor(_size, next);
        _size = next;
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + _bound(time, 1, 2 days));
    }

    function askBack() external {
        vm.prank(owner);
        receipts.requestWithdrawal(LOG);
    }

    function withdraw() external {
        vm.prank(owner);
        receipts.withdraw(LOG);
    }

    function openOne(uint64 place, uint256 who) external {
        uint256 deposit = receipts.depositOf(owner, LOG);
        address account = accounts()[who % 3];
        IDecisionReceipts.SignedReceipt memory signed = receiptOf(place % PLACES);
        vm.deal(account, deposit);
        vm.prank(account);
        receipts.open{value: deposit}(signed);
        deposited += deposit;
    }

    function answerOne(uint64 place) external {
        place %= PLACES;
        if (place >= _size) return;
        bytes32[] memory path = UniformLog.path(place, _size);
        receipts.answer(owner, receiptOf(place).receipt, path);
    }

    function settleOne(uint64 place) external {
        IDecisionReceipts.SignedReceipt memory signed = receiptOf(place % PLACES);
        IDecisionReceipts.Dispute memory dispute = receipts.dispute(_id(signed));
        uint256 before = address(0).balance;
        if (dispute.state == IDecisionReceipts.State.Open && block.timestamp > dispute.answerBy) {
            try receipts.settle(owner, signed.receipt) {}
            catch {
                ++injustices;
            }
        } else {
            receipts.settle(owner, signed.receipt);
            ++injustices;
        }
        burned += address(0).balance - before;
    }

    function reportAbsent(uint64 place, uint256 who) external {
        place %= PLACES;
        IDecisionReceipts.SignedReceipt memory signed = receiptOf(place);
        uint256 before = address(0).balance;
        vm.prank(accounts()[who % 3]);
        receipts.reportAbsent(signed);
        burned += address(0).balance - before;
        if (place < _size || block.timestamp <= DEADLINE) ++injustices;
    }

    function reportOther(uint64 place, uint256 who) external {
        place %= PLACES;
        if (place >= _size) return;
        IDecisionReceipts.SignedReceipt memory signed = receiptOf(place);
        bytes32[] memory path = UniformLog.path(place, _size);
        uint256 before = address(0).balance;
        vm.prank(accounts()[who % 3]);
        receipts.reportOther(signed, UniformLog.LEAF, path);
        burned += address(0).balance - before;
        if (_isHonest(place)) ++injustices;
    }

    function reportContradiction(uint64 place, uint256 salt, uint256 who) external {
        IDecisionReceipts.SignedReceipt memory one = receiptOf(place % PLACES);
        IDecisionReceipts.SignedReceipt memory other = _signed(place % PLACES, bytes32(salt));
        uint256 before = address(0).balance;
        vm.prank(accounts()[who % 3]);
        receipts.reportContradiction(one, other);
        burned += address(0).balance - before;
    }

    function claim(uint256 who) external {
        address account = accounts()[who % 3];
        uint256 amount = receipts.creditOf(account);
        vm.prank(account);
        receipts.claim(account);
        claimed += amount;
    }

    function idOf(uint64 place) external view returns (bytes32) {
        return _id(receiptOf(place));
    }

    function _isHonest(uint64 place) private pure returns (bool) {
        return place % 2 == 0;
    }
}
