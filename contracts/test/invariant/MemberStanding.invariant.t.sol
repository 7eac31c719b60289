// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MemberStanding} from "../../src/MemberStanding.sol";
import {Test} from "../base/Test.sol";
import {StandingHandler} from "./StandingHandler.sol";

contract MemberStandingInvariantTest is Test {
    StandingHandler private handler;
    MemberStanding private standing;

    function setUp() public {
        handler = new StandingHandler();
        standing = handler.contractAt();
        _target(address(handler));
    }

    /// A member is excluded exactly from when nobody appealed in time, or the arbiter rejected its appeal in time.
    /// forge-config: default.invariant.runs = 16
    /// forge-config: default.invariant.depth = 64
    function invariant_exclusionsAreThoseThatTheRulesGive() public view {
        uint64 excluded = standing.excluded(handler.study());
        for (uint8 member = 0; member < handler.members(); ++member) {
            uint64 from = handler.expected(member);
            vm.assertEq(standing.excludedFrom(handler.study(), member), from, "from");
            vm.assertTrue((excluded >> member & 1 == 1) == (from != 0 && block.timestamp >= from));
        }
    }

    /// Whoever is excluded stays so: nothing that a party does later changes it.
    /// forge-config: default.invariant.runs = 16
    /// forge-config: default.invariant.depth = 64
    function invariant_exclusionIsForGood() public view {
        vm.assertEq(handler.returned(), 0);
    }
}
