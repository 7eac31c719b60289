// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {DecisionReceipts} from "../../src/DecisionReceipts.sol";
import {IDecisionReceipts} from "../../src/interfaces/IDecisionReceipts.sol";
import {System} from "./System.sol";
import {UniformLog} from "./UniformLog.sol";

/// @title A log whose owner promises entries, and its receipts
/// @dev Entries of the log are all alike ({UniformLog}), so a promise of `UniformLog.LEAF` is kept wherever the log reaches.
abstract contract Receipts is System {
    uint64 internal constant DEADLINE = uint64(START + 1 hours);
    uint128 internal constant STAKE = 0.5 ether + 7;

    // Constants would be hashed anew, by calls of their own, wherever they are used.
    bytes32 internal immutable LOG = sha256("example.org/decisions");
    bytes32 internal immutable ENDPOINT = sha256("triage");
    address internal immutable owner = _clinic(0);
    address internal immutable asker = vm.addr(uint256(keccak256("asker")));

    DecisionReceipts internal receipts;

    function setUp() public virtual override {
        super.setUp();
        receipts = DecisionReceipts(_deploy("DecisionReceipts", abi.encode(anchors)));
        vm.deal(owner, 100 ether);
        vm.deal(asker, 1 ether);
        vm.deal(stranger, 1 ether);
    }

    function _post(uint256 amount) internal {
        vm.prank(owner);
        receipts.postBond{value: amount}(LOG);
    }

    function _anchor(uint256 size, uint256 more) internal {
        bytes32[] memory proof = size == 0 ? new bytes32[](0) : UniformLog.growth(size, more);
        bytes32 root = UniformLog.root(more);
        vm.prank(owner);
        anchors.anchor(LOG, uint64(more), root, proof);
    }

    function _receipt(uint64 index, bytes32 leaf) internal view returns (IDecisionReceipts.Receipt memory) {
        return IDecisionReceipts.Receipt({
            log: LOG,
            endpoint: ENDPOINT,
            counter: index,
            index: index,
            leaf: leaf,
            deadline: DEADLINE
        });
    }

    /// @dev Signed alone, by the clinic number `clinic`.
    function _sign(IDecisionReceipts.Receipt memory receipt, uint256 clinic)
        internal
        pure
        returns (IDecisionReceipts.SignedReceipt memory signed)
    {
        signed.receipt = receipt;
        (signed.v, signed.r, signed.s) = vm.sign(_key(clinic), _batchHash(_structHash(receipt)));
    }

    function _signed(uint64 index, bytes32 leaf) internal view returns (IDecisionReceipts.SignedReceipt memory) {
        return _sign(_receipt(index, leaf), 0);
    }

    function _id(IDecisionReceipts.SignedReceipt memory signed) internal view returns (bytes32) {
        return receipts.disputeOf(owner, signed.receipt);
    }

    function _structHash(IDecisionReceipts.Receipt memory receipt) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "DecisionReceipt(bytes32 log,bytes32 endpoint,uint64 counter,uint64 index,bytes32 leaf,uint64 deadline)"
                ),
                receipt.log,
                receipt.endpoint,
                receipt.counter,
                receipt.index,
                receipt.leaf,
                receipt.deadline
            )
        );
    }

    function _batchHash(bytes32 root) internal pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version)"),
                keccak256("Counterweight decision receipt"),
                keccak256("1")
            )
        );
        bytes32 batch = keccak256(abi.encode(keccak256("DecisionReceipts(bytes32 root)"), root));
        return keccak256(abi.encodePacked("\x19\x01", domain, batch));
    }
}
