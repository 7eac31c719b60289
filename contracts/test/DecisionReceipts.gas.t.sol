// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IDecisionReceipts} from "../src/interfaces/IDecisionReceipts.sol";
import {Receipts} from "./base/Receipts.sol";
import {UniformLog} from "./base/UniformLog.sol";

/// @dev What each call about a receipt costs, with its transaction: `npm run gas` writes gas.json, `npm test` compares. The log has
/// 2^24 entries and the receipt is one of a batch of 65,536.
contract DecisionReceiptsGasTest is Receipts {
    uint256 private constant SIZE = 1 << 24;
    uint64 private constant PLACE = 12_345_678;

    function setUp() public override {
        super.setUp();
        vm.prank(owner);
        receipts.postBond{value: STAKE}(LOG);
        _snapshot("postBond, first");
        _anchor(0, SIZE);
        vm.warp(DEADLINE + 1);
    }

    function test_gas_answered() public {
        IDecisionReceipts.SignedReceipt memory signed = _inBatch(UniformLog.LEAF);
        _open(signed);
        _snapshot("open");
        bytes32[] memory path = UniformLog.path(PLACE, SIZE);
        vm.prank(owner);
        receipts.answer(owner, signed.receipt, path);
        _snapshot("answer, depth 24");
        vm.prank(owner);
        receipts.claim(owner);
        _snapshot("claim");
    }

    function test_gas_silent() public {
        IDecisionReceipts.SignedReceipt memory signed = _inBatch("withheld");
        _open(signed);
        vm.warp(DEADLINE + 2 days);
        vm.prank(stranger);
        receipts.settle(owner, signed.receipt);
        _snapshot("settle, after silence");
    }

    function test_gas_reportAbsent() public {
        IDecisionReceipts.Receipt memory receipt = _receipt(uint64(SIZE), UniformLog.LEAF);
        IDecisionReceipts.SignedReceipt memory signed = _batch(receipt);
        vm.prank(asker);
        receipts.reportAbsent(signed);
        _snapshot("reportAbsent");
    }

    function test_gas_reportOther() public {
        IDecisionReceipts.SignedReceipt memory signed = _inBatch("promised");
        bytes32[] memory path = UniformLog.path(PLACE, SIZE);
        vm.prank(asker);
        receipts.reportOther(signed, UniformLog.LEAF, path);
        _snapshot("reportOther, depth 24");
    }

    function test_gas_reportContradiction() public {
        IDecisionReceipts.SignedReceipt memory one = _inBatch("one");
        IDecisionReceipts.SignedReceipt memory other = _inBatch("other");
        vm.prank(asker);
        receipts.reportContradiction(one, other);
        _snapshot("reportContradiction");
    }

    function _snapshot(string memory name) private {
        vm.snapshotGasLastCall("gas", string.concat("DecisionReceipts.", name));
    }

    function _open(IDecisionReceipts.SignedReceipt memory signed) private {
        uint256 deposit = receipts.depositOf(owner, LOG);
        vm.prank(asker);
        receipts.open{value: deposit}(signed);
    }

    function _inBatch(bytes32 leaf) private view returns (IDecisionReceipts.SignedReceipt memory) {
        return _batch(_receipt(PLACE, leaf));
    }

    function _batch(IDecisionReceipts.Receipt memory receipt)
        private
        pure
        returns (IDecisionReceipts.SignedReceipt memory signed)
    {
        signed.receipt = receipt;
        signed.path = new bytes32[](16);
        bytes32 root = _structHash(receipt);
        for (uint256 i = 0; i < 16; ++i) {
            bytes32 sibling = keccak256(abi.encode(i));
            signed.path[i] = sibling;
            root = root < sibling ? keccak256(abi.encode(root, sibling)) : keccak256(abi.encode(sibling, root));
        }
        (signed.v, signed.r, signed.s) = vm.sign(_key(0), _batchHash(root));
    }
}
