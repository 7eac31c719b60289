// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../../src/interfaces/IInferenceDispute.sol";
import {Test} from "../base/Test.sol";
import {DisputesHandler} from "./DisputesHandler.sol";

contract InferenceDisputeInvariantTest is Test {
    DisputesHandler private handler;
    IInferenceDispute private dispute;

    function setUp() public {
        handler = new DisputesHandler();
        dispute = handler.contractAt();
        _target(address(handler));
    }

    /// Every bond that came in is open, owed, burnt or was paid out, and the contract holds what is left.
    /// forge-config: default.invariant.runs = 12
    /// forge-config: default.invariant.depth = 64
    function invariant_bondsAreConserved() public view {
        uint256 owed = dispute.burnt();
        for (uint256 i = 0; i < 4; ++i) {
            owed += dispute.creditOf(handler.account(i));
        }
        for (uint256 i = 0; i < handler.claimCount(); ++i) {
            IInferenceDispute.Claim memory claim = handler.claimAt(i);
            bytes32 id = dispute.idOf(claim);
            if (dispute.statusOf(id) == IInferenceDispute.Status.Pending) owed += claim.terms.claimBond;
            (uint32 count, uint32 open) = dispute.challengesOf(id);
            uint256 stillOpen = 0;
            for (uint256 n = 0; n < count; ++n) {
                IInferenceDispute.Challenge memory challenge = dispute.challengeOf(id, n);
                if (challenge.phase >= IInferenceDispute.Phase.ChallengerWon) continue;
                ++stillOpen;
                if (challenge.challenger != address(0)) owed += claim.terms.challengeBond;
            }
            vm.assertEq(stillOpen, open, "open challenges");
        }
        vm.assertEq(owed, handler.held(), "owed");
        vm.assertEq(address(dispute).balance, handler.held(), "held");
    }

    /// A step finds faults in layers that lied, and in no others.
    /// forge-config: default.invariant.runs = 12
    /// forge-config: default.invariant.depth = 64
    function invariant_onlyLiesAreFound() public view {
        vm.assertEq(handler.injustices(), 0);
    }
}
