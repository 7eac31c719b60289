// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MemberStanding} from "../../src/MemberStanding.sol";
import {IMemberStanding} from "../../src/interfaces/IMemberStanding.sol";
import {System} from "./System.sol";

/// @title Studies with exclusion, and who takes part in it
abstract contract StandingStudies is System {
    uint32 internal constant WINDOW = 1 days;

    address internal immutable arbiter = vm.addr(uint256(keccak256("arbiter")));

    MemberStanding internal standing;

    function setUp() public virtual override {
        super.setUp();
        standing = MemberStanding(_deploy("MemberStanding", abi.encode(rounds)));
        vm.label(arbiter, "arbiter");
    }

    function _configure(uint64 study) internal {
        vm.prank(coordinator);
        standing.configure(study, IMemberStanding.Setting(arbiter, WINDOW));
    }

    /// @dev A running study of four members with one closed round.
    function _judged() internal returns (uint64 study) {
        study = _open(_terms());
        _configure(study);
        for (uint256 i = 0; i < 4; ++i) {
            _join(study, i, _consented(i));
        }
        vm.prank(coordinator);
        rounds.start(study);
        _round(study, 15);
    }

    function _propose(uint64 study, uint8 member, uint32 round) internal {
        vm.prank(coordinator);
        standing.propose(study, member, round, "values");
    }

    function _appeal(uint64 study, uint8 member) internal {
        vm.prank(_clinic(member));
        standing.appeal(study, member, "reason");
    }

    function _decide(uint64 study, uint8 member, bool uphold) internal {
        vm.prank(arbiter);
        standing.decide(study, member, uphold);
    }
}
