// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {DecisionReceipts} from "../../src/DecisionReceipts.sol";
import {IDecisionReceipts} from "../../src/interfaces/IDecisionReceipts.sol";
import {Test} from "../base/Test.sol";
import {ReceiptsHandler} from "./ReceiptsHandler.sol";

contract DecisionReceiptsInvariantTest is Test {
    ReceiptsHandler private handler;
    DecisionReceipts private receipts;

    function setUp() public {
        handler = new ReceiptsHandler();
        receipts = handler.contractAt();
        _target(address(handler));
    }

    /// Every wei that came in stands behind the log, in an open dispute, to somebody's credit, was paid or was destroyed.
    /// forge-config: default.invariant.runs = 12
    /// forge-config: default.invariant.depth = 64
    function invariant_bondsAreConserved() public view {
        IDecisionReceipts.Bond memory bond = receipts.bond(handler.ownerAt(), handler.log());
        uint256 held = bond.amount;
        address[3] memory accounts = handler.accounts();
        for (uint256 i = 0; i < accounts.length; ++i) {
            held += receipts.creditOf(accounts[i]);
        }
        uint256 open = 0;
        for (uint64 place = 0; place < handler.places(); ++place) {
            IDecisionReceipts.Dispute memory dispute = receipts.dispute(handler.idOf(place));
            if (dispute.state == IDecisionReceipts.State.Open) ++open;
            else vm.assertEq(dispute.deposit, 0, "a deposit without a dispute");
            held += dispute.deposit;
        }
        vm.assertEq(bond.open, open, "open");
        vm.assertEq(address(receipts).balance, held, "held");
        vm.assertEq(
            held, handler.posted() + handler.deposited() - handler.claimed() - handler.burned(), "in and out"
        );
    }

    /// Nobody loses for a promise that was kept, and every dispute that is not answered can be ended.
    /// forge-config: default.invariant.runs = 12
    /// forge-config: default.invariant.depth = 64
    function invariant_onlyBrokenPromisesCost() public view {
        vm.assertEq(handler.injustices(), 0);
    }
}
