// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MemberStanding} from "../../src/MemberStanding.sol";
import {IMemberStanding} from "../../src/interfaces/IMemberStanding.sol";
import {StandingStudies} from "../base/StandingStudies.sol";

/// @dev One running study whose coordinator proposes, whose members appeal and whose arbiter decides, in any order and at any time,
/// beside a plain account of what should come of it.
contract StandingHandler is StandingStudies {
    uint8 private constant MEMBERS = 4;

    uint64 public study;
    /// @notice From which second on each member should be excluded, 0 for never
    uint64[MEMBERS] public expected;
    /// @notice Members that were excluded and then were not any more
    uint256 public returned;

    uint64 private _seen;

    constructor() {
        setUp();
        study = _judged();
    }

    /// @dev Once: the fuzzer calls it too.
    function setUp() public override {
        if (address(standing) == address(0)) super.setUp();
    }

    function contractAt() external view returns (MemberStanding) {
        return standing;
    }

    function propose(uint8 member, uint32 round) external {
        member = uint8(_bound(member, 0, MEMBERS - 1));
        vm.prank(coordinator);
        try standing.propose(study, member, uint32(_bound(round, 0, 3)), "values") {
            expected[member] = uint64(block.timestamp) + WINDOW + 1;
        } catch {}
        _look();
    }

    function appeal(uint8 member, uint8 by) external {
        member = uint8(_bound(member, 0, MEMBERS - 1));
        vm.prank(_clinic(_bound(by, 0, MEMBERS - 1)));
        try standing.appeal(study, member, "reason") {
            expected[member] = 0;
        } catch {}
        _look();
    }

    function decide(uint8 member, bool uphold, bool byStranger) external {
        member = uint8(_bound(member, 0, MEMBERS - 1));
        vm.prank(byStranger ? stranger : arbiter);
        try standing.decide(study, member, uphold) {
            if (!uphold) expected[member] = uint64(block.timestamp);
        } catch {}
        _look();
    }

    function closeRound() external {
        if (rounds.study(study).closedRounds < 2) _round(study, 15);
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + _bound(time, 1, WINDOW));
        _look();
    }

    function members() external pure returns (uint8) {
        return MEMBERS;
    }

    function _look() private {
        uint64 excluded = standing.excluded(study);
        if (_seen & ~excluded != 0) ++returned;
        _seen |= excluded;
    }
}
